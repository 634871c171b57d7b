// A JSON:API server of another vendor (jsonapi-server) with customers, orders of theirs and products: `node jsonapi.js PORT`.
"use strict";
const api = require("jsonapi-server");

const LESLIE = "11111111-1111-4111-8111-111111111111";
const common = { graphiql: false, port: Number(process.argv[2]), hostname: "127.0.0.1", protocol: "http" };
api.setConfig({ ...common, base: "", jsonapi: true });

const optional = api.Joi.string().allow("");
api.define({
  resource: "customers",
  handlers: new api.MemoryHandler(),
  attributes: { name: optional, email: api.Joi.string(), orders: api.Joi.belongsToMany({ resource: "orders", as: "customer" }) },
  examples: [{ id: LESLIE, type: "customers", name: "Leslie", email: "leslie@knope.example" }],
});
api.define({
  resource: "orders",
  handlers: new api.MemoryHandler(),
  attributes: { status: optional, note: optional, customer: api.Joi.one("customers") },
  examples: [
    { id: "22222222-2222-4222-8222-222222222222", type: "orders", status: "paid", note: "only for leslie", customer: { type: "customers", id: LESLIE } },
  ],
});
api.define({
  resource: "products",
  handlers: new api.MemoryHandler(),
  attributes: { name: optional },
  examples: [{ id: "33333333-3333-4333-8333-333333333333", type: "products", name: "Waffle" }],
});
api.onUncaughtException((_, error) => process.stderr.write(`${error.stack}\n`));
api.start();
// The port is taken once `listen` has returned.
process.stdout.write("there\n");
