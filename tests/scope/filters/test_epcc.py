"""Rules of the dialect `epcc`: what is a filter, how it is written again, and that nothing escapes our AND."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scope.filters.epcc import (
    MAX_ALTERNATIVES,
    MAX_BYTES,
    MAX_CONDITIONS,
    MAX_OPERANDS,
    OPERATORS,
    All,
    Any,
    Condition,
    Epcc,
    Node,
    emit,
    normalise,
    parse,
)
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner"])
OURS = "eq(customer_id,c1)"


def scope(*filters: str, value: str = "c1") -> Query | Refusal:
    """Scope to customer c1 a query with these filters."""
    return Epcc().scope(tuple(("filter", text) for text in filters), "customer_id", value, RESERVED, "filter")


def code(found: object) -> Code | None:
    """Return the code of a refusal."""
    return found.code if isinstance(found, Refusal) else None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("eq(status,paid)", "eq(status,paid)", id="one condition"),
        pytest.param("eq(a,b):gt(c,5)", "eq(a,b):gt(c,5)", id="an AND, in the classic grammar"),
        pytest.param("eq(a,b)|eq(c,d)", "(eq(a,b)|eq(c,d))", id="an OR gets parentheses"),
        pytest.param("(eq(a,b)|eq(c,d)):eq(e,f)", "(eq(a,b)|eq(c,d)):eq(e,f)", id="an OR inside an AND keeps them"),
        pytest.param("eq(a,b):eq(c,d)|eq(e,f)", "(eq(a,b):eq(c,d)|eq(e,f))", id="AND binds tighter than OR"),
        pytest.param("((eq(a,b)))", "eq(a,b)", id="needless parentheses go"),
        pytest.param("(eq(a,b):eq(c,d)):eq(e,f)", "eq(a,b):eq(c,d):eq(e,f)", id="an AND inside an AND is flat"),
        pytest.param("(eq(a,b)|eq(c,d))|eq(e,f)", "(eq(a,b)|eq(c,d)|eq(e,f))", id="an OR inside an OR is flat"),
        pytest.param("in(id,a,b,c)", "in(id,a,b,c)", id="a list"),
        pytest.param("in(id, a, b)", "in(id,a,b)", id="leading spaces are dropped, as the upstream documents"),
        pytest.param('in(id, "a",  "b")', "in(id,a,b)", id="also before quotes"),
        pytest.param("is_null(external_ref)", "is_null(external_ref)", id="an operator without operand"),
        pytest.param('eq(name,"Ron Swanson")', "eq(name,Ron Swanson)", id="needless quotes go"),
        pytest.param("eq(name,Ron Swanson)", "eq(name,Ron Swanson)", id="a space inside needs no quotes"),
        pytest.param('eq(name," x ")', 'eq(name," x ")', id="a space at the ends needs quotes"),
        pytest.param("eq(name,'Food \\'n Stuff')", 'eq(name,"Food \'n Stuff")', id="single quotes become double"),
        pytest.param('eq(name,"a \\"b\\"")', "eq(name,'a \"b\"')", id="the other quote instead of an escape"),
        pytest.param("eq(name,'a \\\"b')", "eq(name,'a \"b')", id="a needless escape goes"),
        pytest.param(
            'eq(a,"x\\"):eq(customer_id,C2")', "eq(a,'x\"):eq(customer_id,C2')", id="an escaped quote ends nothing"
        ),
        pytest.param(
            "eq(a,'x\\')|eq(customer_id,C2')", 'eq(a,"x\')|eq(customer_id,C2")', id="nor does an escaped single quote"
        ),
        pytest.param('eq(name,"")', 'eq(name,"")', id="an empty operand in quotes"),
        pytest.param("like(name,*swan*)", "like(name,*swan*)", id="a star in like is a wildcard"),
        pytest.param("ilike(name,*swan)", "ilike(name,*swan)", id="a star in ilike is a wildcard"),
        pytest.param("eq(name,a*)", 'eq(name,"a*")', id="a star in eq is a star"),
        pytest.param("eq(email,ron+1@x.test)", "eq(email,ron+1@x.test)", id="an e-mail address"),
        pytest.param("eq(path,a/b)", 'eq(path,"a/b")', id="newer characters are quoted"),
        pytest.param("eq(x,{a})", 'eq(x,"{a}")', id="braces are quoted"),
        pytest.param(
            'gt(updated_at,"2018-04-16T10:11:59.715Z")', 'gt(updated_at,"2018-04-16T10:11:59.715Z")', id="time"
        ),
        pytest.param(
            "ge(created_at,2018-04-16T10:11:59.715Z)",
            'ge(created_at,"2018-04-16T10:11:59.715Z")',
            id="a time without quotes, as the API's pages write it",
        ),
        pytest.param(
            "gt(a,2018-04-16T10:11:59+02:00):lt(a,2019-01-01)",
            'gt(a,"2018-04-16T10:11:59+02:00"):lt(a,2019-01-01)',
            id="a time with an offset, and a day",
        ),
        pytest.param("like(name,*O'Brien*)", 'like(name,"*O\'Brien*")', id="an apostrophe"),
        pytest.param("in(name,O'Brien,D'Arcy)", 'in(name,"O\'Brien","D\'Arcy")', id="two names with apostrophes"),
        pytest.param("like(name,*James'*)", 'like(name,"*James\'*")', id="an apostrophe before a star"),
        pytest.param("eq(name,O\u2019Brien)", 'eq(name,"O\u2019Brien")', id="the apostrophe of a phone"),
        pytest.param("eq(name,Cafe\u0301's x)", 'eq(name,"Cafe\u0301\'s x")', id="an apostrophe behind an accent"),
        pytest.param("eq(name,Müller)", 'eq(name,"Müller")', id="letters beyond ASCII without quotes"),
        pytest.param("like(name,*größe*)", 'like(name,"*größe*")', id="a pattern beyond ASCII"),
        pytest.param("eq(name,Smith & Sons)", 'eq(name,"Smith & Sons")', id="an ampersand"),
        pytest.param("eq(sku,A#1)", 'eq(sku,"A#1")', id="a hash"),
        pytest.param("like(name,*50%*)", 'like(name,"*50%*")', id="a percent sign"),
        pytest.param("eq(name,Why? Yes!)", 'eq(name,"Why? Yes!")', id="a question and its answer"),
        pytest.param("eq(external_ref,YWJj==)", 'eq(external_ref,"YWJj==")', id="base64"),
        pytest.param('eq(name,"Müller")', 'eq(name,"Müller")', id="letters beyond ASCII in quotes"),
        pytest.param('eq(name,"नमस्ते")', 'eq(name,"नमस्ते")', id="letters with vowel signs in quotes"),
        pytest.param("in(id.0,a,id.1,b)", "in(id.0,a,id.1,b)", id="what SDK v3 makes of an array"),
        pytest.param('contains_any(tags,"a,b",c)', 'contains_any(tags,"a,b",c)', id="a comma in quotes"),
        pytest.param(
            'eq(name,"x):eq(customer_id,c2")', 'eq(name,"x):eq(customer_id,c2")', id="syntax in quotes is text"
        ),
        pytest.param('eq(note,"customer_id")', "eq(note,customer_id)", id="the owner field's name as a value is text"),
        pytest.param("text(name,shirt):contains(x,y)", "text(name,shirt):contains(x,y)", id="the other operators"),
        pytest.param(
            '(le(start,"2025:1"):gt(end,"2025:2")|le(end,"2025:3")):eq(enabled,"true")',
            '(le(start,"2025:1"):gt(end,"2025:2")|le(end,"2025:3")):eq(enabled,true)',
            id="what the official SDK makes of nested or groups",
        ),
    ],
)
def test_a_filter_is_written_again_behind_our_clause(text: str, canonical: str) -> None:
    """Ours first, theirs in one spelling, and an OR only inside parentheses."""
    assert scope(text) == (("filter", f"{OURS}:{canonical}"),)


# D6.2 of the threats: each would mean something else to a reader that stops early, guesses, or joins strings.
BROKEN = [
    pytest.param("eq(a,b):or:eq(customer_id,C2)", id="a word as a condition"),
    pytest.param('eq(a,"x":eq(customer_id,C2)', id="a quoted operand without its parenthesis"),
    pytest.param('eq(a,"x)', id="a quote that never closes"),
    pytest.param("eq(a,'x)", id="a single quote that never closes"),
    pytest.param("eq(a,\"x')", id="quotes of two kinds"),
    pytest.param('eq(a,""x"")', id="quotes in quotes"),
    pytest.param('eq(a,"x"y)', id="text behind a quote"),
    pytest.param('eq(a,y"x")', id="a quote behind text"),
    pytest.param("eq(a,\"x\"'y')", id="two strings side by side"),
    pytest.param('eq(a,"x\\', id="a backslash at the end"),
    pytest.param('eq(a,"x\\")', id="a backslash before the last quote"),
    pytest.param('eq(a,"x\\\\")', id="an escaped backslash, which readers take differently"),
    pytest.param('eq(a,"x\\\\"):eq(b,"|eq(customer_id,C2)|eq(c,")', id="an escaped backslash that shifts all quotes"),
    pytest.param('eq(a,"x\\"y\'")', id="quotes of both kinds in one operand"),
    pytest.param('eq(a,"x\\n")', id="an escape nobody defined"),
    pytest.param("eq(a,x\\)y)", id="a backslash outside quotes"),
    pytest.param("eq(a,b", id="no closing parenthesis"),
    pytest.param("eq(a,b))", id="a closing parenthesis too many"),
    pytest.param("(eq(a,b)", id="an open group"),
    pytest.param("eq(a,b)):(eq(c,d)", id="parentheses the wrong way round"),
    pytest.param("eq(a,b))|(eq(customer_id,C2)", id="an OR that would close our group"),
    pytest.param(")|eq(customer_id,C2)|(", id="an OR that would close and open our group"),
    pytest.param("()", id="an empty group"),
    pytest.param("eq", id="a word alone"),
    pytest.param("eq()", id="no field"),
    pytest.param("eq(a)", id="no operand"),
    pytest.param("eq(a,)", id="an empty operand"),
    pytest.param("eq(a,,b)", id="an empty operand in front"),
    pytest.param("eq(a,   )", id="spaces as operand"),
    pytest.param("eq(a,b )", id="a space at the end of an operand"),
    pytest.param("eq(a,b,c)", id="two operands for eq"),
    pytest.param("is_null(a,b)", id="an operand for is_null"),
    pytest.param("in(a)", id="a list of none"),
    pytest.param("ne(a,b)", id="an operator of the PHP SDK"),
    pytest.param("EQ(a,b)", id="an operator in capitals"),
    pytest.param("or(eq(a,b),eq(c,d))", id="a function of another language"),
    pytest.param("not(eq(a,b))", id="a negation"),
    pytest.param("!eq(a,b)", id="a negation sign"),
    pytest.param(":eq(a,b)", id="an AND in front"),
    pytest.param("eq(a,b):", id="an AND at the end"),
    pytest.param("eq(a,b)::eq(c,d)", id="two ANDs"),
    pytest.param("|eq(a,b)", id="an OR in front"),
    pytest.param("eq(a,b)|", id="an OR at the end"),
    pytest.param("eq(a,b)||eq(c,d)", id="two ORs"),
    pytest.param("eq(a,b):|eq(c,d)", id="an AND and an OR"),
    pytest.param("eq(a,b)eq(c,d)", id="nothing between two conditions"),
    pytest.param("eq(a,b),eq(c,d)", id="a comma between two conditions"),
    pytest.param("eq(a,b) : eq(c,d)", id="spaces around an AND"),
    pytest.param("eq (a,b)", id="a space behind the operator"),
    pytest.param("eq( a,b)", id="a space before the field"),
    pytest.param("eq(a ,b)", id="a space behind the field"),
    pytest.param(" ", id="a space alone"),
    pytest.param("eq(a,b:c)", id="a colon outside quotes"),
    pytest.param("eq(a,1:b)", id="a colon before no digit"),
    pytest.param("eq(a,b:1)", id="a colon behind no digit"),
    pytest.param("eq(a,10:11:)", id="a colon at the end"),
    pytest.param("eq(a,:1)", id="a colon in front"),
    pytest.param("ge(created_at,2018-04-16T10:11:59Z:eq(customer_id,C2))", id="a condition behind a time"),
    pytest.param("eq(a,10:11|12)", id="a bar behind a time"),
    pytest.param("eq(a,b')", id="an apostrophe at the end"),
    pytest.param("eq(a,b'):eq(c,d')", id="two apostrophes around a condition"),
    pytest.param("eq(a,'t Hooft)", id="an apostrophe in front"),
    pytest.param("eq(a,rock 'n' roll)", id="apostrophes around a word"),
    pytest.param("eq(a,o''brien)", id="an apostrophe doubled"),
    pytest.param("in(a,b',c')", id="apostrophes around a comma"),
    pytest.param("eq(a,o'brien\"s)", id="an apostrophe and a quote"),
    pytest.param("eq(a,o\u2019brien\u2019)", id="a typographic apostrophe at the end"),
    pytest.param("eq(a,'o\u2019brien \"x\"')", id="a typographic apostrophe and quotes"),
    pytest.param("eq(a,b;c)", id="a semicolon outside quotes"),
    pytest.param("eq(a,b&filter=eq(customer_id,C2))", id="a second parameter inside an operand"),
    pytest.param("eq(a,b\\'c)", id="an escaped apostrophe outside quotes"),
    pytest.param("like(a,*m\u00fc\uff09:eq(customer_id,C2)|eq(b,*)", id="a full-width parenthesis outside quotes"),
    pytest.param("eq(a,b|c)", id="a bar outside quotes"),
    pytest.param("eq(price.gt,100:price.lt,200)", id="what an SDK makes of a nested range"),
    pytest.param("eq(a,b)&filter=eq(customer_id,C2)", id="a second parameter inside the value"),
    pytest.param("eq(a,b);filter=eq(customer_id,C2)", id="a second parameter behind a semicolon"),
    pytest.param("eq(a,b)#", id="a fragment"),
    pytest.param("eq(a,%22b%22)", id="a second encoding"),
    pytest.param('eq(a,"b%22):eq(c,%22d")', id="a second encoding in quotes"),
    pytest.param("eq(1a,b)", id="a field that begins with a digit"),
    pytest.param("eq(a-$,b)", id="a field with a dollar sign"),
    pytest.param('eq("a",b)', id="a field in quotes"),
    pytest.param("text(*,b)", id="all fields at once"),
    pytest.param("eq(" + "a" * 129 + ",b)", id="a field that is too long"),
    pytest.param("eq(feldgröße,b)", id="a field beyond ASCII"),
    pytest.param("eq\uff08a,b\uff09", id="full-width parentheses"),
    pytest.param("eq(a,b\uff09:eq(c,d)", id="one full-width parenthesis"),
    pytest.param("eq(a,b)\uff1aeq(c,d)", id="a full-width colon"),
    pytest.param("eq(a,b)\ua789eq(c,d)", id="a letter that looks like a colon"),
    pytest.param("eq(a,b)\uff5ceq(c,d)", id="a full-width bar"),
    pytest.param("eq(a,b)\u2223eq(c,d)", id="a divides sign for a bar"),
    pytest.param("eq(a\uff0cb)", id="a full-width comma"),
    pytest.param("eq(a,\u201cb\u201d)", id="typographic quotes"),
    pytest.param("eq(a,\uff02b\uff02)", id="full-width quotes"),
    pytest.param('eq(a,"b\uff02)', id="a full-width quote in quotes"),
    pytest.param('eq(a,"b\uff09:eq(c,d")', id="a full-width parenthesis in quotes"),
    pytest.param("\uff45\uff51(a,b)", id="full-width letters as operator"),
    pytest.param("\u0435q(a,b)", id="a Cyrillic letter in the operator"),
    pytest.param("eq(\u0441ustomer_id,C2)", id="the owner field with a Cyrillic letter"),
    pytest.param("eq(\uff43ustomer_id,C2)", id="the owner field with a full-width letter"),
    pytest.param("eq(customer\u200b_id,C2)", id="the owner field with a zero-width space"),
    pytest.param("\u202eeq(a,b)", id="a right-to-left override in front"),
    pytest.param('eq(a,"b\u202ec")', id="a right-to-left override in quotes"),
    pytest.param('eq(a,"b\u200fc")', id="a right-to-left mark in quotes"),
    pytest.param("\ufeffeq(a,b)", id="a byte order mark"),
    pytest.param("eq(a,b)\x00", id="a NUL at the end"),
    pytest.param('eq(a,"b\x00c")', id="a NUL in quotes"),
    pytest.param("eq(a,b)\r\nX-Evil: 1", id="a line end"),
    pytest.param('eq(a,"b\r\nc")', id="a line end in quotes"),
    pytest.param('eq(a,"b\tc")', id="a tab in quotes"),
    pytest.param('eq(a,"b\x85c")', id="a C1 control in quotes"),
    pytest.param('eq(a,"b\u2028c")', id="a line separator in quotes"),
    pytest.param('eq(a,"b\u00a0c")', id="a no-break space in quotes"),
    pytest.param("eq(a,b)\u00a0:eq(c,d)", id="a no-break space"),
    pytest.param('eq(a,"\U0001f600")', id="an emoji in quotes"),
    pytest.param('eq(a,"\ud800")', id="half a surrogate pair in quotes"),
    pytest.param(f"eq(a,{'b' * 10_000})", id="ten kilobytes"),
    pytest.param(":".join(["eq(a,b)"] * 10), id="eleven conditions with ours"),
    pytest.param(":".join(["eq(a,b)"] * 11), id="eleven conditions without ours"),
    pytest.param("|".join(["eq(a,b)"] * 5), id="five alternatives"),
    pytest.param("(eq(a,b)|eq(c,d)|eq(e,f)):(eq(a,b)|eq(c,d))", id="six alternatives as a product"),
    pytest.param("(" * 5000, id="parentheses without end"),
    pytest.param("((((eq(a,b)))))", id="parentheses five deep"),
    pytest.param("eq(a,b)|(eq(c,d):(eq(e,f)|eq(g,h)))", id="a tree that is too deep with ours"),
    pytest.param("in(id" + ",x" * (MAX_OPERANDS + 1) + ")", id="a list that is too long"),
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_does_not_parse_completely_is_refused(text: str) -> None:
    """There is no half a filter."""
    refusal = scope(text)
    assert code(refusal) is Code.FILTER_INVALID
    assert isinstance(refusal, Refusal)
    assert refusal.source == "query.filter"


def test_the_detail_of_a_refusal_never_quotes_the_client() -> None:
    """Filters carry names and addresses, and events are read by many."""
    refusal = scope("eq(email,ron@swanson.test):eq")
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "position 29: a ( is expected"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("eq(customer_id,C2)", id="the field itself"),
        pytest.param("eq(customer_id,c1)", id="even with our own value"),
        pytest.param("eq(a,b)|eq(customer_id,C2)", id="in an OR"),
        pytest.param("(eq(a,b)|eq(customer_id,C2)):eq(c,d)", id="in an OR in an AND"),
        pytest.param("eq(a,b)|(eq(c,d):eq(customer_id,C2))", id="in an AND in an OR"),
        pytest.param("((eq(customer_id,C2)))", id="behind needless parentheses"),
        pytest.param('eq(customer_id,"C2")', id="with a quoted value"),
        pytest.param("like(customer_id,*)", id="with a wildcard"),
        pytest.param("in(customer_id,C1,C2)", id="in a list"),
        pytest.param("gt(customer_id,0)", id="in a comparison"),
        pytest.param("is_null(customer_id)", id="as absent"),
        pytest.param("eq(CUSTOMER_ID,C2)", id="in capitals"),
        pytest.param("eq(Customer_Id,C2)", id="in mixed case"),
        pytest.param("eq(customerId,C2)", id="in camel case"),
        pytest.param("eq(customerid,C2)", id="without underscore"),
        pytest.param("eq(customer.id,C2)", id="with a dot, as the SDK emits it"),
        pytest.param("eq(customer-id,C2)", id="with a dash"),
        pytest.param("eq(customer__id,C2)", id="with two underscores"),
        pytest.param("eq(_customer_id,C2)", id="with an underscore in front"),
        pytest.param("eq(customer_id.,C2)", id="with a dot behind"),
        pytest.param("in(customer_id.0,C2,customer_id.1,C3)", id="as SDK v3 writes an array"),
        pytest.param("eq(owner,C2)", id="by its alias"),
        pytest.param("eq(Owner.name,C2)", id="by a member of its alias"),
    ],
)
def test_the_owner_field_may_not_be_named(text: str) -> None:
    """In no spelling, at no depth, with no operator."""
    assert code(scope(text)) is Code.FILTER_FIELD_RESERVED


@pytest.mark.parametrize(
    "query",
    [
        pytest.param((("filter", "eq(a,b)"), ("filter", "eq(c,d)")), id="twice"),
        pytest.param((("filter", ""), ("filter", "")), id="twice, both empty"),
        pytest.param((("filter", "eq(a,b)"), ("FILTER", "eq(c,d)")), id="once more in capitals"),
        pytest.param((("Filter", "eq(a,b)"),), id="only with a capital"),
        pytest.param((("filter[]", "eq(a,b)"),), id="as a list"),
        pytest.param((("filter[x]", "eq(a,b)"),), id="as a member"),
        pytest.param((("filter.x", "eq(a,b)"),), id="with a dot"),
        pytest.param((("filter\x00", "eq(a,b)"),), id="with a NUL"),
        pytest.param((("\uff46ilter", "eq(a,b)"),), id="with a full-width letter"),
        pytest.param((("f\u200bilter", "eq(a,b)"),), id="with a zero-width space"),
        pytest.param(((" filter", "eq(a,b)"),), id="with a space"),
    ],
)
def test_the_filter_appears_once_and_under_its_name(query: Query) -> None:
    """Nobody behind us may find a second filter."""
    assert code(Epcc().scope(query, "customer_id", "c1", RESERVED, "filter")) is Code.QUERY_REPEATED


@pytest.mark.parametrize("filters", [(), ("",)], ids=["no filter", "an empty filter"])
def test_without_a_filter_ours_stands_alone(filters: tuple[str, ...]) -> None:
    """An empty filter counts as none."""
    assert scope(*filters) == (("filter", OURS),)


def test_the_filter_goes_first_and_the_rest_stays() -> None:
    """Where the client put its filter does not matter."""
    query = (("sort", "id"), ("filter", "eq(a,b)"), ("page[limit]", "10"))
    scoped = Epcc().scope(query, "customer_id", "c1", RESERVED, "filter")
    assert scoped == (("filter", f"{OURS}:eq(a,b)"), ("sort", "id"), ("page[limit]", "10"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("c1", "c1"),
        ('c"1', "'c\"1'"),
        ("c'1", '"c\'1"'),
        ("c1):eq(a,b", '"c1):eq(a,b"'),
        ("*", '"*"'),
        (" c", '" c"'),
    ],
)
def test_our_own_value_is_a_literal(value: str, written: str) -> None:
    """A customer id with syntax in it stays one operand."""
    assert scope(value=value) == (("filter", f"eq(customer_id,{written})"),)


@pytest.mark.parametrize("value", ["", "c\\", "c'\"", "c1\x00", "c\u202e1", "c\uff091"])
def test_an_owner_value_that_cannot_be_written_is_refused(value: str) -> None:
    """Rather no answer than one without our clause."""
    assert code(scope(value=value)) is Code.FILTER_INVALID


def test_a_field_that_cannot_be_written_is_refused() -> None:
    """A fault of the configuration closes the route."""
    scoped = Epcc().scope((), "id)|eq(x", "c1", RESERVED, "filter")
    assert code(scoped) is Code.FILTER_INVALID


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ron.swanson+1_a-b@x.test", "ron.swanson+1_a-b@x.test"),
        ("o'brien@x.test", '"o\'brien@x.test"'),
        ('"a b"@x.test', "'\"a b\"@x.test'"),
        ('"a\\ b\'"@x.test', '"\\"a\\\\ b\'\\"@x.test"'),
        ("*@x.test", '"*@x.test"'),
        ("müller@x.test", '"müller@x.test"'),
        ("a):eq(b,c@x.test", '"a):eq(b,c@x.test"'),
        ("", '""'),
    ],
)
def test_equals_asks_for_a_literal(value: str, written: str) -> None:
    """An e-mail address from a login form cannot become syntax."""
    assert Epcc().equals("email", value, "where") == (("where", f"eq(email,{written})"),)


def test_the_limits_count_what_is_sent() -> None:
    """Nine conditions of the client, four alternatives and a long list are within them."""
    for text in (
        ":".join(["eq(a,b)"] * (MAX_CONDITIONS - 1)),
        "|".join(["eq(a,b)"] * MAX_ALTERNATIVES),
        "(eq(a,b)|eq(c,d)):(eq(e,f)|eq(g,h))",
        "in(id" + ",x" * MAX_OPERANDS + ")",
        "(((eq(a,b))))"[1:-1],
    ):
        assert code(scope(text)) is None, text


def test_what_is_sent_stays_within_eight_kilobytes() -> None:
    """The client's text may fit where the composed one does not; letters count as the bytes they are."""
    assert code(scope(f"eq(a,{'b' * (MAX_BYTES - len(OURS) - 7)})")) is None
    assert code(scope(f"eq(a,{'b' * (MAX_BYTES - len(OURS) - 6)})")) is Code.FILTER_INVALID
    assert code(scope(f'eq(a,"{"ü" * 4100}")')) is Code.FILTER_INVALID


def test_a_hostile_filter_costs_little() -> None:
    """Deep nesting ends at the fifth parenthesis, not in the recursion limit."""
    refusal = parse("(" * 5000)
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "position 4: parentheses are nested too deeply"


def test_no_letter_beyond_ascii_turns_into_syntax() -> None:
    """Whatever normalisation or case mapping the upstream applies to a quoted operand, it stays inside its quotes."""
    syntax = set("\"'\\():|,;&=%#")
    for char in map(chr, range(0x80, sys.maxunicode + 1)):
        forms = unicodedata.normalize("NFKC", char + char.upper() + char.lower() + char.casefold())
        if not syntax.isdisjoint(forms):
            assert isinstance(parse(f'eq(a,"{char}")'), Refusal), hex(ord(char))


OPERANDS = st.text(st.sampled_from("abzAZ09 $-_.*@{}+/:|(),\"'%ü"), max_size=12).filter(
    lambda text: not re.search("%[0-9A-Fa-f]{2}|'.*\"|\".*'", text)
)
FIELDS = st.sampled_from(["status", "name", "contact.email", "_x", "a-b"])


@st.composite
def _conditions(draw: st.DrawFn) -> Condition:
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    fewest, most = OPERATORS[operator]
    operands = draw(st.lists(OPERANDS, min_size=fewest, max_size=min(most, 3)))
    return Condition(operator, draw(FIELDS), tuple(operands))


def _groups(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    many = st.lists(children, min_size=1, max_size=3).map(tuple)
    return many.map(All) | many.map(Any)


NODES: st.SearchStrategy[Node] = st.recursive(_conditions(), _groups, max_leaves=6)


@given(NODES)
def test_parse_undoes_emit(node: Node) -> None:
    """What is written is what was meant, in its flat form."""
    parsed = parse(emit(node))
    assert isinstance(parsed, Refusal) or parsed == normalise(node)
    if isinstance(parsed, Refusal):
        assert parsed.detail.endswith(("nested too deeply", "too many alternatives"))


@given(NODES)
def test_the_canonical_spelling_is_canonical(node: Node) -> None:
    """Writing, reading and writing again changes nothing."""
    text = emit(node)
    parsed = parse(text)
    assert isinstance(parsed, Refusal) or emit(parsed) == text
    assert normalise(normalise(node)) == normalise(node)


@given(st.text(st.sampled_from("eqinab_(),:|\"'\\ *%2"), max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises, and what is read has one canonical spelling."""
    parsed = parse(text)
    if not isinstance(parsed, Refusal):
        assert parse(emit(parsed)) == parsed
