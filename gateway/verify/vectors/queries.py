"""Vectors in the query: filters that widen, parameters that hide, pages without end."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from gateway.verify.facts import FilterFacts
from gateway.verify.model import Group, Shot
from gateway.verify.vectors.base import CUSTOMERS, Setting, vector

# What stands in a query as it is; the rest is percent-encoded.
_PLAIN = "-._~!$'()*,:@/?[]=&|"

Queries = Callable[[str, str, str, str], tuple[str, ...]]
"""Parameter, owner field, A's id, B's id: the queries of one vector in one dialect."""

_FOREIGN: Mapping[str, Queries] = {
    "epcc": lambda p, f, _, b: (f"{p}=eq({f},{b})", f"{p}=in({f},{b})", f"{p}=like({f},{b[:-1]}*)"),
    "query": lambda _, f, __, b: (f"{f}={b}", f"{f}[]={b}", f"{f}[eq]={b}"),
    "jsonapi": lambda p, f, _, b: (f"{p}[{f}]={b}", f"{p}[{f}][eq]={b}", f"{p}[{f}][in]={b}"),
    "postgrest": lambda _, f, __, b: (f"{f}=eq.{b}", f"{f}=in.({b})", f"{f}=like.{b[:-1]}*"),
}
_OR: Mapping[str, Queries] = {
    "epcc": lambda p, f, a, b: (
        f"{p}=eq({f},{a})|eq({f},{b})",
        f"{p}=(eq(id,x)|eq({f},{b}))",
        f"{p}=eq(id,x):or:eq({f},{b})",
        f"{p}=in({f},{a},{b})",
    ),
    "query": lambda _, f, a, b: (f"{f}={a},{b}", f"{f}={a}|{b}", f"{f}={a}&{f}={b}", f"{f}[or]={b}", f"or[{f}]={b}"),
    "jsonapi": lambda p, f, a, b: (
        f"{p}[{f}]={a},{b}",
        f"{p}[or][0][{f}]={a}&{p}[or][1][{f}]={b}",
        f"{p}[or][{f}]={b}",
        f"{p}[g][group][conjunction]=OR&{p}[c][condition][path]={f}&{p}[c][condition][memberOf]=g",
    ),
    "postgrest": lambda _, f, a, b: (
        f"or=({f}.eq.{a},{f}.eq.{b})",
        f"{f}=in.({a},{b})",
        f"not.and=({f}.eq.{a})",
        f"x.or=({f}.eq.{b})",
    ),
}
_NESTED: Mapping[str, Queries] = {
    "epcc": lambda p, f, _, b: (f"{p}=((eq({f},{b})))", f"{p}=(eq(id,x)|(eq(id,y)|eq({f},{b})))"),
    "query": lambda _, f, __, b: (f"{f}[][]={b}", f"{f}[a][b]={b}", f"x[{f}]={b}"),
    "jsonapi": lambda p, f, _, b: (f"{p}[{f}][][]={b}", f"{p}[and][0][or][0][{f}]={b}", f"{p}[x][{f}]={b}"),
    "postgrest": lambda _, f, a, b: (f"and=(or({f}.eq.{a},{f}.eq.{b}))", f"or=(and({f}.eq.{b}),id.is.null)"),
}
_QUOTES: Mapping[str, Queries] = {
    "epcc": lambda p, f, _, b: (
        f'{p}=eq(name,"x\\"):eq({f},{b}")',
        f"{p}=eq(name,'x'):eq('{f}','{b}')",
        f'{p}=eq(name,"a")|eq({f},"{b}")',
    ),
    "query": lambda _, f, __, b: (f'{f}="{b}"', f"{f}='{b}'", f'"{f}"={b}'),
    "jsonapi": lambda p, f, _, b: (f'{p}["{f}"]={b}', f"{p}['{f}']={b}", f'{p}[{f}]="{b}"'),
    "postgrest": lambda _, f, __, b: (f'"{f}"=eq.{b}', f'{f}=eq."{b}"', f'or=("{f}".eq."{b}")'),
}
_WILDCARD: Mapping[str, Queries] = {
    "epcc": lambda p, f, _, __: (f"{p}=like({f},*)", f"{p}=like(name,*)", f"{p}=ge({f},0)", f"{p}=like(*,*)"),
    "query": lambda _, f, a, __: (f"{f}=*", f"{f}=%25", f"{f}__ne={a}", f"{f}!={a}", f"{f}[ne]={a}"),
    "jsonapi": lambda p, f, a, _: (f"{p}[{f}]=*", f"{p}[{f}][ne]={a}", f"{p}[{f}][like]=%25", f"{p}[*]=*"),
    "postgrest": lambda _, f, a, __: (f"{f}=like.*", f"{f}=neq.{a}", f"{f}=not.is.null", f"{f}=gte.0"),
}
_ESCAPE: Mapping[str, Queries] = {
    "epcc": lambda p, f, a, b: (
        f"{p}=eq(name,a))|(eq({f},{b})",
        f"{p}=eq(id,{a}",
        f"{p}=)|eq({f},{b}",
        f"{p}=eq(name,a%00):eq({f},{b})",
        f"{p}=eq(name,a\\):eq({f},{b})",
    ),
    "query": lambda _, f, a, b: (f"{f}={a}%00{b}", f"x={a}%26{f}%3D{b}", f"{f}%00={b}", f"x=1%0a{f}={b}"),
    "jsonapi": lambda p, f, a, b: (
        f"{p}[{f}]={a}%00{b}",
        f"{p}[name]=x%26{p}[{f}]={b}",
        f"{p}[{f}={b}",
        f"{p}]{f}[={b}",
    ),
    "postgrest": lambda _, f, __, b: (f"name=eq.x),{f}.eq.{b}", f"name=eq.x%26{f}=eq.{b}", f"or=(id.eq.x),{f}=eq.{b}"),
}


def _filtered(s: Setting, queries: Mapping[str, Queries], field: str = "") -> Iterator[Shot]:
    """Try queries in the dialect of the route's filter."""
    rule = s.route.filter
    if rule is None or not s.reads:
        return
    for query in queries[rule.dialect](rule.parameter, field or rule.field, s.attacker.id, s.victim.id):
        yield from s.at_own(quote(query, safe=_PLAIN + "%"))


@vector("filter-foreign", Group.QUERY, "A filter that names B as the owner.", CUSTOMERS)
def filter_foreign(s: Setting) -> Iterator[Shot]:
    """Ask for B's."""
    return _filtered(s, _FOREIGN)


@vector("filter-or", Group.QUERY, "A filter that adds B with OR, in every spelling the dialect has.", CUSTOMERS)
def filter_or(s: Setting) -> Iterator[Shot]:
    """Ask for A's or B's."""
    return _filtered(s, _OR)


@vector("filter-nested", Group.QUERY, "B's id inside nested groups of a filter.", CUSTOMERS)
def filter_nested(s: Setting) -> Iterator[Shot]:
    """Hide the condition in depth."""
    return _filtered(s, _NESTED)


@vector("filter-quotes", Group.QUERY, "Quotes and escapes that end a filter's value early.", CUSTOMERS)
def filter_quotes(s: Setting) -> Iterator[Shot]:
    """Break out of a value."""
    return _filtered(s, _QUOTES)


@vector("filter-wildcard", Group.QUERY, "A filter that every owner fits: a wildcard, a negation, a range.", CUSTOMERS)
def filter_wildcard(s: Setting) -> Iterator[Shot]:
    """Ask for everybody's."""
    return _filtered(s, _WILDCARD)


@vector("filter-escape", Group.QUERY, "Brackets and separators that close the gateway's own condition.", CUSTOMERS)
def filter_escape(s: Setting) -> Iterator[Shot]:
    """Break out of the condition."""
    return _filtered(s, _ESCAPE)


@vector("filter-alias", Group.QUERY, "B's id under other names of the owner field.", CUSTOMERS)
def filter_alias(s: Setting) -> Iterator[Shot]:
    """Name the owner otherwise."""
    rule = s.route.filter
    if rule is not None:
        upper = rule.field.upper()
        for name in (
            *rule.aliases,
            upper,
            rule.field.replace("_", "."),
            rule.field.replace("_", ""),
            "customerId",
            "owner",
        ):
            yield from list(_filtered(s, _FOREIGN, name))[:1]


def _parameter(rule: FilterFacts) -> str:
    """Return the name of the parameter that carries the condition."""
    return rule.parameter if rule.dialect in {"epcc", "jsonapi"} else rule.field


@vector("filter-repeated", Group.QUERY, "The filter parameter twice, A's first and B's first.", CUSTOMERS)
def filter_repeated(s: Setting) -> Iterator[Shot]:
    """Let two readers take different ones."""
    rule = s.route.filter
    if rule is None or not s.reads:
        return
    one = _FOREIGN[rule.dialect]
    own, foreign = (one(rule.parameter, rule.field, "", ident)[0] for ident in (s.attacker.id, s.victim.id))
    for query in (f"{own}&{foreign}", f"{foreign}&{own}", f"{foreign}&{foreign}"):
        yield from s.at_own(query)


@vector(
    "filter-hidden",
    Group.QUERY,
    "The filter parameter under a hidden or aliased name: FILTER, filter[], fil%74er.",
    CUSTOMERS,
)
def filter_hidden(s: Setting) -> Iterator[Shot]:
    """Hide the parameter's name."""
    rule = s.route.filter
    if rule is None or not s.reads:
        return
    name = _parameter(rule)
    value = _FOREIGN[rule.dialect](rule.parameter, rule.field, s.attacker.id, s.victim.id)[0].partition("=")[2]
    hidden = f"{name[:-1]}%{ord(name[-1]):02x}"
    for alias in (
        name.upper(),
        f"{name}[]",
        f"{name}%5B%5D",
        hidden,
        f"{name}%00",
        f"+{name}",
        f"{name}%20",
        f"{name}.0",
    ):
        yield from s.at_own(f"{alias}={value}")


@vector(
    "filter-separator", Group.QUERY, "A second filter behind a separator that only some servers split at.", CUSTOMERS
)
def filter_separator(s: Setting) -> Iterator[Shot]:
    """Hide the parameter behind another."""
    rule = s.route.filter
    if rule is not None and s.reads:
        foreign = _FOREIGN[rule.dialect](rule.parameter, rule.field, s.attacker.id, s.victim.id)[0]
        for query in (
            f"sort=id;{foreign}",
            f"sort=id%26{foreign}",
            f"sort=id%0a{foreign}",
            f"?{foreign}",
            f"sort=id,{foreign}",
        ):
            yield from s.at_own(query)


@vector(
    "filter-other-dialect", Group.QUERY, "B's id in the filter language of other servers, on every route that reads."
)
def filter_other_dialect(s: Setting) -> Iterator[Shot]:
    """Try what another server behind the gateway might understand."""
    field = s.route.filter.field if s.route.filter else "customer_id"
    b = s.victim.id
    if s.reads:
        for query in (
            f"filter=eq({field},{b})", f"{field}={b}", f"filter[{field}]={b}", f"{field}=eq.{b}", f"q={field}:{b}",
            f"or=({field}.eq.{b})", f"where[{field}]={b}", f"search={b}", f"$filter={field}%20eq%20'{b}'",
        ):  # fmt: skip
            yield from s.at_own(query)


@vector("query-identity", Group.QUERY, "B's id in parameters that some servers take for the identity of the caller.")
def query_identity(s: Setting) -> Iterator[Shot]:
    """Say in the query to be B."""
    b = s.victim.id
    for name in (
        "customer",
        "customer_id",
        "customer_token",
        "user_id",
        "on_behalf_of",
        "impersonate",
        "access_token",
        "id",
    ):
        yield from s.at_own(f"{name}={b}")


@vector("paging", Group.QUERY, "Pages and limits beyond all bounds.")
def paging(s: Setting) -> Iterator[Shot]:
    """Leave the own page."""
    if s.reads:
        for query in (
            "page[limit]=100000", "page[limit]=-1", "page[limit]=0", "page[offset]=-1", "page[offset]=1", "cursor=0",
            "limit=100000", "page[limit]=100&page[limit]=100000", "page[total_method]=exact", "per_page=100000",
        ):  # fmt: skip
            yield from s.at_own(query)


@vector("sorting", Group.QUERY, "Orders of sorting by fields of other records, and several at once.")
def sorting(s: Setting) -> Iterator[Shot]:
    """Sort strangely."""
    if s.reads:
        for query in (
            "sort=customer_id",
            "sort=-customer_id",
            "sort=name,email",
            "sort=relationships.customer.data.id",
            "sort=*",
        ):
            yield from s.at_own(query)


@vector("including", Group.QUERY, "Related records of everybody in `include`, `expand` and `embed`.")
def including(s: Setting) -> Iterator[Shot]:
    """Ask for what hangs on the own records."""
    if s.reads:
        for name in ("include", "expand", "embed", "with"):
            yield from s.at_own(f"{name}=items,customer,customers,addresses,orders,account,customer.orders,*")


@vector("selecting", Group.QUERY, "Fields, joins and aggregates that bring other tables in.")
def selecting(s: Setting) -> Iterator[Shot]:
    """Choose more than the record."""
    if s.reads:
        for query in (
            "select=*,customers(*)",
            "fields=*",
            "fields[customer]=*",
            "columns=*",
            "group_by=customer_id",
            "distinct=1",
        ):
            yield from s.at_own(query)


@vector("format", Group.QUERY, "Other formats, callbacks and methods asked for in the query.")
def other_format(s: Setting) -> Iterator[Shot]:
    """Ask for another representation."""
    for query in ("format=csv", "callback=x", "jsonp=x", "download=1", "debug=1", "_method=GET", "pretty=1"):
        yield from s.at_own(query)


VECTORS = (
    filter_foreign, filter_or, filter_nested, filter_quotes, filter_wildcard, filter_escape, filter_alias,
    filter_repeated, filter_hidden, filter_separator, filter_other_dialect, query_identity, paging, sorting, including,
    selecting, other_format,
)  # fmt: skip
