// A proxy that verifies the customer token and narrows the query: `node fastify.mjs PORT UPSTREAM` with
// BENCH_ALGORITHM (HS256, RS256) and BENCH_KEY (the secret, or the file of the public key).
import proxy from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { readFileSync } from 'node:fs'

const [port, upstream] = process.argv.slice(2)
const { BENCH_ALGORITHM: algorithm, BENCH_KEY: key } = process.env
const app = Fastify({ logger: false })
await app.register(jwt, {
  secret: algorithm === 'HS256' ? key : { public: readFileSync(key, 'utf8') },
  verify: { algorithms: [algorithm], extractToken: (request) => request.headers['x-moltin-customer-token'] },
})
await app.register(proxy, {
  upstream,
  preHandler: async (request, reply) => {
    try {
      await request.jwtVerify()
    } catch {
      return reply.code(403).send()
    }
  },
  replyOptions: {
    queryString: (search, url, request) =>
      `filter=eq(customer_id,${request.user.sub})&${url.slice(url.indexOf('?') + 1)}`,
  },
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
