"""An API in Django REST framework with customers, orders of theirs and products, as its tutorial writes one.

`python django_shop.py PORT TOKEN` serves it on 127.0.0.1, out of memory. Ids are numbers, paths end with a slash, lists
are pages of two, and whoever asks must send `Authorization: Token TOKEN`.
"""

import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]

settings.configure(
    SECRET_KEY="of a server that lives for one test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework", "shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    REST_FRAMEWORK={
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": 2,
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - all that follows needs the settings
from django.db import connection  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import filters, permissions, routers, serializers, viewsets  # noqa: E402
from shop.models import Customer, Order, Product  # noqa: E402


class HasToken(permissions.BasePermission):
    """Whoever has the token may do anything."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Compare the header."""
        del view
        return bool(request.headers.get("Authorization") == f"Token {TOKEN}")


class ByField(filters.BaseFilterBackend):
    """`?field=value`, for the fields that a view names."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        """Keep what equals."""
        return queryset.filter(**{name: request.query_params[name] for name in view.by if name in request.query_params})


def view(kind: Any, *by: str) -> Any:
    """Make a view of a model, all its fields, filtered by some."""
    meta = type("Meta", (), {"model": kind, "fields": "__all__"})
    members = {
        "queryset": kind.objects.order_by("id"),
        "serializer_class": type("Serializer", (serializers.ModelSerializer,), {"Meta": meta}),
        "permission_classes": [HasToken],
        "filter_backends": [ByField],
        "by": by,
    }
    return type(f"{kind.__name__}View", (viewsets.ModelViewSet,), members)


router = routers.DefaultRouter()
router.register("customers", view(Customer, "id", "email"))
router.register("orders", view(Order, "customer"))
router.register("products", view(Product))
urlpatterns = [path("api/", include(router.urls))]


class Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


class Server(WSGIServer):
    """One thread: its database lives in one connection."""

    request_queue_size = 128


if __name__ == "__main__":
    with connection.schema_editor() as editor:
        for kind in (Customer, Order, Product):
            editor.create_model(kind)
    leslie = Customer.objects.create(name="Leslie", email="leslie@knope.example")
    Order.objects.create(customer=leslie, note="only for leslie", total=1)
    Product.objects.create(name="Waffle")
    server = make_server("127.0.0.1", PORT, get_wsgi_application(), Server, Quiet)
    sys.stdout.write("there\n")
    sys.stdout.flush()
    server.serve_forever()
