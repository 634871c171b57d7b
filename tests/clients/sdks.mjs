// The two SDKs behind one set of names. What an adapter lacks, that SDK cannot do.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** Every request of the SDKs goes through here: how often, with which headers, and what came back. */
export function recorder() {
  const real = globalThis.fetch
  let seen = []
  const record = async (url, options) => {
    const { pathname, search } = new URL(url)
    const header = (name) => Object.entries(options.headers).find(([key]) => key.toLowerCase() === name)?.[1]
    const entry = {
      method: options.method,
      target: pathname + search,
      scheme: header('authorization')?.split(' ')[0] ?? null,
      token: header('x-moltin-customer-token') !== undefined,
      status: null
    }
    seen.push(entry)
    const response = await real(url, options)
    entry.status = response.status
    return response
  }
  const take = () => {
    const taken = seen
    seen = []
    return taken
  }
  return { record, take }
}

/** @moltin/sdk 3.15.3: the global fetch, https unless told otherwise afterwards, no `headers` option. */
export function sdk3({ host, record }) {
  globalThis.fetch = record
  const { gateway, MemoryStorageFactory } = require('moltin-3')
  return {
    storage: () => new MemoryStorageFactory(),
    open: (options) => {
      const client = gateway({ host, storage: new MemoryStorageFactory(), ...options })
      client.config.protocol = 'http'
      return client
    },
    addresses: (client) => client.Addresses,
    // The methods below send no customer token; the request factory that they all use can.
    items: (client, id, token) => client.request.send(`orders/${id}/items`, 'GET', undefined, token),
    transactions: (client, id, token) => client.request.send(`orders/${id}/transactions`, 'GET', undefined, token),
    pay: (client, id, body, token) => client.request.send(`orders/${id}/payments`, 'POST', body, token),
    checkout: (client, ref, customer, address, token) =>
      client.request.send(
        `carts/${ref}/checkout`,
        'POST',
        { customer, billing_address: address, shipping_address: address },
        token
      ),
    update: (client, id, body, token) =>
      client.request.send(`customers/${id}`, 'PUT', { ...body, type: 'customer' }, token),
    remove: (client, id, token) => client.request.send(`customers/${id}`, 'DELETE', undefined, token),
    associate: (client, ref, id, token) =>
      client.request.send(`carts/${ref}/relationships/customers`, 'POST', [{ type: 'customer', id }], token),
    carts: (client, token) => client.request.send('carts', 'GET', undefined, token)
  }
}

/** @moltin/sdk 36.0.0: everything by options; `headers` go with every request but the grant. */
export function sdk36({ host, record }) {
  const { gateway, MemoryStorageFactory } = require('moltin-36')
  const open = (options) =>
    gateway({
      host,
      protocol: 'http',
      storage: new MemoryStorageFactory(),
      custom_fetch: record,
      // The SDK's own pause before it tries again is a second and more.
      retryDelay: 1,
      retryJitter: 1,
      ...options
    })
  const signedIn = (client, token) =>
    open({ client_id: client.config.client_id, headers: { 'X-MOLTIN-CUSTOMER-TOKEN': token } })
  return {
    storage: () => new MemoryStorageFactory(),
    open,
    signedIn,
    addresses: (client) => client.CustomerAddresses,
    items: (client, id, token) => signedIn(client, token).Orders.Items(id),
    transactions: (client, id, token) => signedIn(client, token).Transactions.All({ order: id }),
    pay: (client, id, body, token) => signedIn(client, token).Orders.Payment(id, body),
    checkout: (client, ref, customer, address, token) =>
      signedIn(client, token).Cart(ref).Checkout(customer, address, address),
    update: (client, id, body, token) => client.Customers.Update(id, body, token),
    remove: (client, id, token) => signedIn(client, token).Customers.Delete(id),
    associate: (client, ref, id, token) => client.Cart(ref).AddCustomerAssociation(id, token),
    carts: (client, token) => client.Cart().GetCartsList(token)
  }
}
