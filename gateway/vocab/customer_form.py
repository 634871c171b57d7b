"""Where an API has its customers, and where a customer's record says who that is. Values only."""

from msgspec import Struct

from gateway.vocab.record_form import MOLTIN, RecordForm, Tokens


class CustomerForm(Struct, frozen=True, kw_only=True):
    """The collection of customers at `path` (without a slash at its end), and what stands where in one of its records.

    `filter_field` is what the collection is filtered by to find an e-mail. `constants` are members that a new record
    has besides those that a client sends. `created_at` says when the API made a record, if it does.
    """

    path: str = "/v2/customers"
    form: RecordForm = MOLTIN
    email_at: Tokens = ("email",)
    name_at: Tokens = ("name",)
    created_at: Tokens = ("meta", "timestamps", "created_at")
    filter_field: str = "email"
    dialect: str = "epcc"
    filter_parameter: str = "filter"
    constants: tuple[tuple[Tokens, str | int | bool], ...] = ()

    @property
    def password_at(self) -> Tokens:
        """Where a password stands in a body, and in a record whether there is one: beside the e-mail."""
        return (*self.email_at[:-1], "password")
