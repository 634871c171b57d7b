"""Query parameters and filters (D6): the list is the customer's, whatever its query says."""

import re
from urllib.parse import quote

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from tests.attacks.field import (
    ON_ONE_LOOP,
    Field,
    Outcome,
    assert_clean,
    assert_refused,
    every,
)

pytestmark = ON_ONE_LOOP

OWNERS = {"/v2/orders": "customer_id", "/v2/customers": "id"}
OWN = {path: f"eq({field},{RON_ID})" for path, field in OWNERS.items()}
OTHER = f"eq(customer_id,{LESLIE_ID})"


def asked(path: str, text: str) -> str:
    """Write a target whose filter is this text, escaped as a browser would."""
    return f"{path}?filter={quote(text, safe='')}"


def assert_scoped(outcome: Outcome, path: str) -> None:
    """Check for a refusal with zero bytes upstream, or one filter upstream that begins with our clause and ANDs it."""
    assert_clean(outcome)
    if outcome.status != 200:
        assert_refused(outcome, 400)
        return
    (request,) = outcome.requests
    assert request.path == path
    names = [name for name, _ in request.query]
    assert len(names) == len(set(names))
    text = dict(request.query)["filter"]
    assert text.startswith(OWN[path])
    rest = text.removeprefix(OWN[path])
    assert rest == "" or rest.startswith(":")
    assert "|" not in outside(rest), "an OR beside our clause"
    assert LESLIE_ID not in rest
    owners = {owner(path, record) for record in outcome.first.json()["data"]}
    assert owners <= {RON_ID}


def owner(path: str, record: dict[str, object]) -> object:
    """Return whose record it is."""
    relationships: object = record.get("relationships")
    if path == "/v2/customers" or not isinstance(relationships, dict):
        return record["id"]
    return relationships["customer"]["data"]["id"]


def outside(text: str) -> str:
    """Return what of a filter stands outside of quotes and parentheses."""
    text = re.sub(r"\"[^\"]*\"|'[^']*'", "", text)
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text


async def test_a_plain_filter_passes(field: Field) -> None:
    """A filter of the client narrows the own list: what is refused below is refused for what it says."""
    outcome = await field.attack(field.request("GET", asked("/v2/orders", "eq(status,complete)|eq(payment,paid)")))
    assert outcome.status == 200
    assert_scoped(outcome, "/v2/orders")
    assert dict(outcome.last.query)["filter"] == f"{OWN['/v2/orders']}:(eq(status,complete)|eq(payment,paid))"


NAMES = (
    "FILTER", "Filter", "filter[]", "filter%5B%5D", "filter[0]", "filter[a]", "fil%74er", "%66ilter", "filter%00",
    "filter%20", "%20filter", "+filter", "filter+", "filter.", "filter.x", "filter%2e", "filter%0a", "filter%0d%0a",
    "filter%09", "filter%3d", "filter%26", "filter%23", "filter%3b", "%ef%ac%81lter", "f%c4%b1lter", "f%c4%b0lter",
    "filter%e2%80%8b", "%ef%bd%86ilter", "filter__x", "filter->x", "filter:x", "_filter", "filter_", "filter-",
    "filter%25", "%2566ilter", "filter%c0%80", "filter%ff", "filter\\", "$filter", "where", "q", "query", "search",
    "filters", "filter[customer_id]", "customer_id", "filter%5bcustomer_id%5d", "", "%00", "filter%5b", "data[filter]",
)  # fmt: skip


@every(name=NAMES, beside=["alone", "before", "behind"], path=["/v2/orders"])
async def test_cve_2022_34296_names_of_the_filter(field: Field, name: str, beside: str, path: str) -> None:
    """The filter has one name in one spelling; everything that somebody could take for it is refused (D6.1 Skipper)."""
    alias = f"{name}={quote(OTHER)}"
    query = {"alone": alias, "before": f"{alias}&filter=", "behind": f"filter=eq(name,x)&{alias}"}[beside]
    assert_refused(await field.attack(field.request("GET", f"{path}?{query}")), 400)


REPEATED = (
    "filter={a}&filter={b}", "filter={b}&filter={a}", "filter={a}&filter={a}", "filter=&filter={b}",
    "filter&filter={b}",
    "filter={a};filter={b}", "filter={a}%3bfilter={b}", "filter={a}&&filter={b}", "&filter={b}&filter={a}",
    "filter={a}&sort=name&filter={b}", "filter={a}%26filter={b}", "filter={a}&fil%74er={b}", "filter={a}?filter={b}",
    "filter={a}#&filter={b}", "filter={a}%23&filter={b}", "filter={a}%00&filter={b}", "filter={a}%0d%0a&filter={b}",
    "filter={a}\\&filter={b}", "filter={a}\x0bfilter={b}", "filter={a}+filter={b}", "filter={a},filter={b}",
    "sort=name&sort=id", "page[limit]=1&page[limit]=100", "page[limit]=1&page%5Blimit%5D=100",
    "include=items&include=x",
)  # fmt: skip


@every(form=REPEATED, path=OWNERS)
async def test_cve_2023_33189_repeated_parameters(field: Field, form: str, path: str) -> None:
    """No controlled parameter stands twice, however the two are joined (D6.1; D1.14 Pomerium; Go and `;`)."""
    target = f"{path}?{form.format(a='eq(name,x)', b=OTHER)}"
    assert_refused(await field.attack(field.request("GET", target)), 400)


FIELDS = (
    "customer_id", "CUSTOMER_ID", "Customer_Id", "customerId", "customerid", "customer-id", "customer.id",
    "customer_id.x",
    "customer__id", "relationships.customer.data.id", "relationships_customer_data_id", "customer_id_", "_customer_id",
    "customer_id__eq", "customer.id.x",
)  # fmt: skip
OPERATORS = ("eq({field},{id})", "like({field},*)", "in({field},{id},x)", "gt({field},0)", "is_null({field})",
             "eq(status,paid)|eq({field},{id})", "(eq({field},{id}))", "eq(status,paid):eq({field},{id})")  # fmt: skip


@every(name=FIELDS, form=OPERATORS)
async def test_d6_2_the_owner_is_not_the_clients_to_filter(field: Field, name: str, form: str) -> None:
    """A filter that names the owner in any spelling is refused, whatever it compares it with (D6.2)."""
    for ident in (LESLIE_ID, RON_ID, "*"):
        text = form.format(field=name, id=ident)
        assert_refused(await field.attack(field.request("GET", asked("/v2/orders", text))), 400)


ESCAPES = (
    "eq(a,b):or:{other}", "eq(a,b)|{other}", "eq(a,b)||{other}", "(eq(a,b)|{other})", "eq(a,b))|{other}",
    "eq(a,b))|({other}",
    ")|{other}", "){other}(", "|{other}", "{other}|", ":{other}", "{other}:", "eq(a,b){other}", "eq(a,b),{other}",
    'eq(a,"x"):{other}', 'eq(a,"x\\"):{other}', 'eq(a,"x\\\\"):{other}', 'eq(a,"x\\\\\\"):{other}', 'eq(a,"x)|{other}',
    "eq(a,'x)|{other}", "eq(a,\"'\"):{other}", "eq(a,'x'')|{other}", 'eq(a,"x"")|{other}', 'eq(a,"x" )|{other}',
    "eq(a,x\\)|{other})", "eq(a,x\\,{other})", "eq(a,`x`)|{other}", "eq(a,\u201dx\u201d)|{other}",
    "eq(a,x\uff09|{other}",
    "eq(a,x)\uff5c{other}", "eq(a,x)\u2223{other}", "eq(a,x)\u00a0|{other}", "eq(a,x)\n|{other}", "eq(a,x)\r\n|{other}",
    "eq(a,x)\t|{other}", "eq(a,x)\0|{other}", "eq(a,x\0)|{other}", "eq(a,x) | {other}", "eq(a,x)|", "eq(a,x)%7c{other}",
    "eq(a,x%29%7c{other}", "eq(a,x)&filter={other}", "eq(a,x);{other}", "eq(a,x)#{other}", "eq(a,x)//{other}",
    "eq(a,x)/*{other}*/",
    "eq(a,x)--{other}", "eq(a,x) or {other}", "eq(a,x) OR {other}", "not({other})", "ne(customer_id,x)",
    "or({other},eq(a,b))",
    "any({other})", "out(customer_id,x)", "EQ(customer_id,x)", "eq (customer_id,x)", "eq( customer_id,x)",
    "eq(customer_id ,x)",
    'eq("customer_id",x)', "eq('customer_id',x)", "eq(customer_id\\,x)", "eq(c\u0443stomer_id,x)",
    "eq(\uff43ustomer_id,x)",
    "eq(customer%5fid,x)", "eq(customer\u200b_id,x)", "eq()", "eq(", ")", "(", "()", "eq", "eq(a)", "eq(a,)", "eq(,x)",
    "''", '""',
    "{{}}", "[]", "null", "true", "1=1", "*", "' OR 1=1--", "$where", '{{"$ne":null}}', "eq(a,b)" * 2,
    "((((((eq(a,b)))))))",
    "eq(a,b)" + ":eq(a,b)" * 10, "eq(a,b)" + "|eq(a,b)" * 5, "in(a" + ",x" * 101 + ")", "eq(a," + "x" * 8000 + ")",
    "(" * 500 + ")" * 500, "eq(a.b.c.d.e" + ".f" * 80 + ",x)",
)  # fmt: skip


@every(text={repr(text[:44]): text for text in ESCAPES}, path=OWNERS, spelled=["escaped", "raw"])
async def test_d6_2_grammar_escapes(field: Field, text: str, path: str, spelled: str) -> None:
    """A filter parses completely and stays behind our clause, or it is refused (D6.2)."""
    filled = text.replace("{other}", OTHER).replace("{{", "{").replace("}}", "}")
    target = asked(path, filled)
    if spelled == "raw":
        # As SDKs send it: only what cannot stand in a request line at all is escaped.
        target = f"{path}?filter={quote(filled, safe='()|:,*@$-_./%&;#[]{}~^`!?=+<>' + chr(34) + chr(39) + chr(92))}"
    outcome = await field.attack(field.request("GET", target))
    if outcome.status == 431:
        assert_refused(outcome, 431)
    else:
        assert_scoped(outcome, path)
        assert outcome.status == 400


@every(length=["8190", "8200", "10000", "100000"])
async def test_d6_2_long_filters(field: Field, length: str) -> None:
    """A filter of more than 8 KB is refused before anything is asked (D6.2)."""
    text = f"eq(name,{'x' * int(length)})"
    assert_refused(await field.attack(field.request("GET", asked("/v2/orders", text))), 400, 431)


@every(length=["8200", "30000"])
async def test_targets_as_long_as_a_line_of_a_head(field: Field, length: str) -> None:
    """What `limits.head` lets in is read and passed on; only filters have a bound of their own."""
    target = f"/v2/products?page[cursor]={'x' * int(length)}"
    outcome = await field.attack(field.request("GET", target, customer=False))
    assert_clean(outcome)
    assert (outcome.status, outcome.last.target) == (200, target)


VALUES = (
    "x", "*", "x*", "*x", "a b", "x:y", "(x)", "x|y", '"x"', "it's", "100%", "a+b", "\u00fcn\u00f6", "x,y", "../x",
    "%2a", "null",
    "true", "[x]", "{x}", "x@y.example", LESLIE_ID, LESLIE.email, LESLIE.canary, "-1", "1e9", "2026-01-01",
)  # fmt: skip


@every(
    value=VALUES,
    form=["eq(name,{v})", 'eq(name,"{v}")', "eq(name,'{v}')", "like(name,{v})", "like(name,*{v}*)", "in(name,{v},{v})"],
)
async def test_d6_2_values(field: Field, value: str, form: str) -> None:
    """Whatever a value holds, the list stays the customer's, and nobody else's record is found by it (D6.2)."""
    text = form.replace("{v}", value)
    outcome = await field.attack(field.request("GET", asked("/v2/orders", text)))
    assert_clean(outcome)
    if outcome.status == 200:
        (request,) = outcome.requests
        assert dict(request.query)["filter"].startswith(f"{OWN['/v2/orders']}:")
        assert {owner("/v2/orders", record) for record in outcome.first.json()["data"]} <= {RON_ID}
    else:
        assert_refused(outcome, 400)


PARAMETERS = (
    "fields=id", "fields[order]=id", "include=customers", "include=customer", "include=items,customer", "include=*",
    "include[]=items", "expand=customer", "embed=customer", "customer=x", "customer_id=x", "owner=x", "user=x", "as=x",
    "access_token=x", "token=x", "apikey=x", "callback=x", "jsonp=x", "format=xml", "_format=csv", "debug=1", "admin=1",
    "page=1", "page[size]=1", "page[]=1", "page[limit][]=1", "page.limit=1", "limit=1", "offset=1", "page[limit]]=1",
    "Page[Limit]=1", "page%00[limit]=1", "sort[]=name", "SORT=name", "order=name", "group=customer", "join=customers",
    "select=*", "total_method=x", "with=x", "X-Moltin-Customer-Token=x", "__proto__=x", "constructor[x]=y", "a[b][c]=d",
)  # fmt: skip


@every(parameter=PARAMETERS, target=["/v2/orders", "/v2/customers", f"/v2/customers/{RON_ID}/addresses"])
async def test_d6_1_other_parameters(field: Field, parameter: str, target: str) -> None:
    """On scoped routes only listed parameters pass; the rest is refused, not dropped (design.md, path and query)."""
    outcome = await field.attack(field.request("GET", f"{target}?{parameter}"))
    assert_clean(outcome)
    if not (parameter.startswith("include=") and target == "/v2/orders"):
        assert_refused(outcome, 400)


LISTED = (
    "sort=customer_id", "sort=-customer_id", "sort=x,y", "sort=*", "sort=(", "sort=%00", "sort=", "sort",
    "sort=name%0d%0aX:y",
    "page[limit]=-1", "page[limit]=0", "page[limit]=99999999999999999999", "page[limit]=x", "page[limit]=1e3",
    "page[limit]=",
    "page[offset]=-1", "page[offset]=99999999999999999999", "page[offset]=1;x", "page[limit]=%31", "page[limit]=\u0661",
    "page[total_method]=x", "include=../../customers", "include=items&page[limit]=100", "include=",
    "include=customer,account",
)  # fmt: skip


@every(parameter=LISTED)
async def test_d6_1_values_of_listed_parameters(field: Field, parameter: str) -> None:
    """Whatever a listed parameter says, the answer is the customer's own or an error without anybody's data."""
    target = f"/v2/orders?{quote(parameter, safe='=&,-*()%;:./[]')}"
    outcome = await field.attack(field.request("GET", target))
    assert_clean(outcome)
    assert outcome.status in {200, 400, 422}
    for request in outcome.requests:
        assert dict(request.query)["filter"] == OWN["/v2/orders"]
        assert "\r" not in request.target


@every(parameter=["filter=eq(id,x)", "include=customer", "page[limit]=1", "x=1", "filter", "_=1"],
       target=[f"/v2/customers/{RON_ID}", f"/v2/orders/{RON_ID}",
       f"/v2/customers/{RON_ID}/addresses/{RON_ID}"])  # fmt: skip
async def test_d6_1_parameters_of_single_records(field: Field, parameter: str, target: str) -> None:
    """A single record takes no filter and no page."""
    if parameter == "include=customer" and "/orders/" in target:
        return
    assert_refused(await field.attack(field.request("GET", f"{target}?{parameter}")), 400)


@every(count=["101", "500"])
async def test_d6_1_many_parameters(field: Field, count: str) -> None:
    """The number of parameters is limited."""
    query = "&".join(f"a{number}=1" for number in range(int(count)))
    for target in ("/v2/orders", "/v2/products"):
        assert_refused(await field.attack(field.request("GET", f"{target}?{query}")), 400)


async def test_the_victim_is_not_changed(field: Field) -> None:
    """After all of this the victim's own list is whole."""
    proof = [f"Authorization: Bearer {field.bearer}", f"X-Moltin-Customer-Token: {field.stolen}"]
    outcome = await field.attack(field.request("GET", "/v2/orders", proof=proof), me=LESLIE)
    assert_clean(outcome)
    assert len(outcome.first.json()["data"]) == LESLIE.orders
    assert RON.canary.encode() not in outcome.first.body
