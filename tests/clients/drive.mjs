// Walks a real Moltin SDK through a shop behind the gateway: `node drive.mjs '<the plan as JSON>'`.
// Prints one JSON line for each step: how the SDK's promise ended, with what, and which requests were sent for it.

import { recorder, sdk3, sdk36 } from './sdks.mjs'

const plan = JSON.parse(process.argv[2])
const { ron, leslie, orders, products } = plan
// An SDK that never settles is a finding, and no step may wait for it.
const PATIENCE_MS = 10_000

const { record, take } = recorder()
const adapter = { 3: sdk3, 36: sdk36 }[plan.sdk]({ host: plan.host, record })
const open = (options) => adapter.open({ client_id: plan.client, ...options })
// The old SDK leaves a second promise behind when a grant fails; a browser only writes that to its console.
process.on('unhandledRejection', () => {})
// The SDKs tell about deprecations and states of tokens; standard output is for results.
console.info = console.warn = console.error = () => {}

const plain = (error) => (error instanceof Error ? { error: String(error) } : error)

async function step(name, act) {
  take()
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ outcome: 'silent', value: null }), PATIENCE_MS)
  })
  const settled = Promise.resolve()
    .then(act)
    .then(
      (value) => ({ outcome: 'resolved', value: value ?? null }),
      (error) => ({ outcome: 'rejected', value: plain(error) })
    )
  const result = await Promise.race([settled, late])
  clearTimeout(timer)
  process.stdout.write(`${JSON.stringify({ step: name, ...result, requests: take() })}\n`)
  return result.value
}

const shop = open()
const addresses = adapter.addresses(shop)
const home = plan.address

await step('grant', () => shop.Authenticate())

// Who one is: register, log in, look at oneself.
const newcomer = plan.newcomer
await step('register', () => shop.Customers.Create(newcomer))
await step('register_again', () => shop.Customers.Create({ ...newcomer, name: 'Somebody Else' }))
await step('register_without_email', () => shop.Customers.Create({ name: 'Nobody', email: 'nobody', password: 'x' }))
const ben = (await step('login_newcomer', () => shop.Customers.Token(newcomer.email, newcomer.password))).data
const token = (await step('login', () => shop.Customers.Token(ron.email, ron.password))).data.token
await step('login_wrong_password', () => shop.Customers.Token(ron.email, 'not the password'))
await step('login_unknown_email', () => shop.Customers.Token('nobody@nowhere.example', 'not the password'))
await step('own_customer', () => shop.Customers.Get(ron.id, token))
await step('own_customer_without_token', () => shop.Customers.Get(ron.id))
await step('own_customer_garbled_token', () => shop.Customers.Get(ron.id, 'a.b.c=='))
await step('foreign_customer', () => shop.Customers.Get(leslie.id, token))
await step('customers_list', () => shop.Customers.All(token))

// The token of a customer, where the method has no parameter for it.
await step('rename', () => shop.Customers.Update(ron.id, { name: 'Ron U. Swanson' }, token))
await step('rename_with_token', () => adapter.update(shop, ron.id, { name: 'Ron U. Swanson' }, token))
await step('rename_foreign', () => adapter.update(shop, leslie.id, { name: 'Ron' }, token))
await step('change_password', () => adapter.update(shop, ben.customer_id, { password: 'calzone zone' }, ben.token))
await step('login_old_password', () => shop.Customers.Token(newcomer.email, newcomer.password))
// The new password has ended the session that it was changed in.
const renewed = (await step('login_new_password', () => shop.Customers.Token(newcomer.email, 'calzone zone'))).data
await step('remove', () => shop.Customers.Delete(ben.customer_id, renewed.token))
await step('remove_with_token', () => adapter.remove(shop, ben.customer_id, renewed.token))
await step('login_removed', () => shop.Customers.Token(newcomer.email, 'calzone zone'))

// Addresses.
const made = await step('address_create', () => addresses.Create({ customer: ron.id, body: home, token }))
const own = { customer: ron.id, address: made.data?.id, token }
await step('address_get', () => addresses.Get(own))
await step('address_update', () => addresses.Update({ ...own, body: { name: 'Cabin in the woods' } }))
await step('address_list', () => addresses.All({ customer: ron.id, token }))
await step('address_delete', () => addresses.Delete(own))
await step('address_deleted', () => addresses.Get(own))
await step('address_list_foreign', () => addresses.All({ customer: leslie.id, token }))
await step('address_get_foreign', () => addresses.Get({ customer: leslie.id, address: leslie.address, token }))
await step('address_create_foreign', () => addresses.Create({ customer: leslie.id, body: home, token }))

// Orders.
await step('orders', () => shop.Orders.All(token))
await step('orders_without_token', () => shop.Orders.All())
await step('orders_asked_for', () =>
  shop.Orders.With('items').Sort('-created_at').Limit(2).Offset(1).Filter({ eq: { status: 'complete' } }).All(token)
)
const pages = []
for (let offset = 0; offset < 100; offset += 5) {
  const page = await step(`orders_page_${pages.length}`, () => shop.Orders.Limit(5).Offset(offset).All(token))
  pages.push(page)
  if (!page.links?.next) break
}
await step('orders_of_another', () => shop.Orders.Filter({ eq: { customer_id: leslie.id } }).All(token))
await step('orders_widened', () => shop.Orders.Filter({ eq: { status: 'complete)|eq(status,processing' } }).All(token))
await step('order', () => shop.Orders.With('items').Get(orders.own, token))
await step('order_foreign', () => shop.Orders.Get(orders.foreign, token))
await step('order_unknown', () => shop.Orders.Get(orders.unknown, token))
await step('items', () => shop.Orders.Items(orders.own))
await step('items_with_token', () => adapter.items(shop, orders.own, token))
await step('items_foreign', () => adapter.items(shop, orders.foreign, token))
await step('transactions', () => shop.Transactions.All({ order: orders.own }))
await step('transactions_deprecated', () => shop.Orders.Transactions(orders.own))
await step('transactions_with_token', () => adapter.transactions(shop, orders.own, token))
await step('transactions_foreign', () => adapter.transactions(shop, orders.foreign, token))
const payment = { gateway: 'manual', method: 'purchase' }
await step('pay', () => shop.Orders.Payment(orders.open, payment))
await step('pay_with_token', () => adapter.pay(shop, orders.open, payment, token))
await step('pay_foreign', () => adapter.pay(shop, orders.foreign, payment, token))

// Carts and the way to an order.
const guest = { name: 'Jerry Gergich', email: 'jerry@gergich.example' }
const cart = shop.Cart()
await step('cart', () => cart.Get())
await step('cart_add', () => cart.AddProduct(products[0], 2))
await step('cart_items', () => cart.Items())
const bought = await step('checkout_guest', () => cart.Checkout(guest, home))
await step('pay_guest', () => shop.Orders.Payment(bought.data?.id, payment))
await step('order_guest', () => shop.Orders.Get(bought.data?.id, token))
await step('checkout_own_id', () => cart.Checkout(ron.id, home))
const mine = await step('checkout_with_token', () => adapter.checkout(shop, cart.cartId, { id: ron.id }, home, token))
await step('order_bought', () => shop.Orders.Get(mine.data?.id, token))
await step('checkout_stamped', () => adapter.checkout(shop, cart.cartId, guest, home, token))
await step('checkout_foreign', () => adapter.checkout(shop, cart.cartId, { id: leslie.id }, home, token))
await step('associate', () => adapter.associate(shop, cart.cartId, ron.id, token))
await step('associate_foreign', () => adapter.associate(shop, cart.cartId, leslie.id, token))
await step('associate_without_token', () => adapter.associate(shop, cart.cartId, ron.id))
await step('carts_list', () => adapter.carts(shop, token))
await step('cart_delete', () => cart.Delete())

// The catalogue.
await step('products', () => shop.Products.Limit(2).All())
await step('products_next', () => shop.Products.Limit(2).Offset(2).All())
await step('product', () => shop.Products.Get(products[0]))
await step('unknown_route', () => shop.Gateways.All())

// Bearers that are not good, and clients that are not known.
const stale = adapter.storage()
const credentials = { client_id: plan.client, access_token: 'not-a-bearer', expires: 4_000_000_000 }
stale.set('moltinCredentials', JSON.stringify(credentials))
await step('bad_bearer', () => open({ storage: stale }).Products.All())
stale.set('moltinCredentials', JSON.stringify(credentials))
await step('bad_bearer_one_attempt', () => open({ storage: stale, fetchMaxAttempts: 1 }).Products.All())
await step('unknown_client', () => open({ client_id: 'nobody' }).Products.All())
await step('wrong_secret', () => open({ client_id: plan.server.id, client_secret: 'wrong' }).Orders.All())
const server = open({ client_id: plan.server.id, client_secret: plan.server.secret })
await step('trusted_customers', () => server.Customers.All())
await step('trusted_orders', () => server.Orders.Limit(100).All())
await step('trusted_as_customer', () => server.Orders.All(token))

// What only the new SDK has.
if (adapter.signedIn) {
  const signedIn = adapter.signedIn(shop, token)
  await step('headers_everywhere', () => signedIn.Orders.All())
  await step('headers_rename', () => signedIn.Customers.Update(ron.id, { name: ron.name }))
  await step('headers_products', () => signedIn.ShopperCatalog.Products.All())
  const checkoutHeaders = { 'X-MOLTIN-CUSTOMER-TOKEN': token }
  await step('cart_add_again', () => cart.AddProduct(products[1]))
  await step('checkout_by_argument', () => cart.Checkout(ron.id, home, home, checkoutHeaders))
  const expired = adapter.signedIn(shop, 'a.b.c==')
  await step('expired_headers_products', () => expired.Products.All())
  await step('expired_headers_login', () => expired.Customers.Token(ron.email, ron.password))
  delete expired.config.headers['X-MOLTIN-CUSTOMER-TOKEN']
  const again = await step('login_after_removal', () => expired.Customers.Token(ron.email, ron.password))
  expired.config.headers['X-MOLTIN-CUSTOMER-TOKEN'] = again.data?.token
  await step('headers_set_later', () => expired.Orders.Items(orders.own))
  await step('own_fetch', () => open({ custom_fetch: undefined }).Orders.All(token))
}
