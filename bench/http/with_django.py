"""The same with Django and Django REST framework, as they teach it: models, serializers and generic views."""

# ruff: noqa: DJ001, DJ008 - null means none as in the other schemas; nobody prints these

import os
from typing import Any
from uuid import uuid4

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DATABASE"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
            },
        }
    },
    INSTALLED_APPS=["rest_framework"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="a benchmark's",
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
        "COERCE_DECIMAL_TO_STRING": False,
    },
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models, transaction  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, serializers  # noqa: E402


def new_id() -> str:
    return uuid4().hex


class Stamped(models.Model):
    id = models.CharField(primary_key=True, default=new_id, editable=False)
    version = models.IntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Customer(models.Model):
    id = models.CharField(primary_key=True)
    addresses = models.JSONField()

    class Meta:
        app_label, db_table = "bench", "customer"


class Product(Stamped):
    sku = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=18, decimal_places=2)
    inventory = models.PositiveIntegerField(default=0)
    active = models.BooleanField(default=True)
    weight_grams = models.PositiveIntegerField(default=400)
    category = models.CharField(default="", blank=True)
    location = models.CharField(default="", blank=True)
    on_hand = models.IntegerField(default=0, editable=False)
    reserved = models.IntegerField(default=0, editable=False)

    class Meta:
        app_label, db_table = "bench", "product"


class StockMovement(Stamped):
    product = models.ForeignKey(Product, models.PROTECT)
    kind = models.CharField()
    on_hand_change = models.IntegerField()
    reason = models.CharField(default="")

    class Meta:
        app_label, db_table = "bench", "stockmovement"


class Order(Stamped):
    class Status(models.TextChoices):
        PENDING = "pending"
        PROCESSING = "processing"
        SHIPPED = "shipped"
        DELIVERED = "delivered"
        CANCELLED = "cancelled"

    order_number = models.CharField(max_length=64, unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT)
    total = models.DecimalField(max_digits=18, decimal_places=2)
    shipping_address_id = models.CharField()
    currency = models.CharField(default="USD")
    status = models.CharField(choices=Status, default=Status.PENDING, editable=False)
    tracking_number = models.CharField(null=True, editable=False)
    fulfilment = models.CharField(default="none", editable=False)
    shipping_cost = models.DecimalField(max_digits=18, decimal_places=2, null=True, editable=False)
    amount_due = models.DecimalField(max_digits=18, decimal_places=2, null=True, editable=False)
    quote_id = models.CharField(null=True, editable=False)
    reserved_at = models.DateTimeField(null=True, editable=False)
    shipped_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    items = models.JSONField()

    class Meta:
        app_label, db_table = "bench", "order"


class ProductSerializer(serializers.ModelSerializer):
    price = serializers.DecimalField(18, 2, min_value=0)
    weight_grams = serializers.IntegerField(min_value=1, max_value=30_000, default=400)

    class Meta:
        model, fields = Product, "__all__"

    def update(self, instance: Product, validated_data: dict[str, Any]) -> Product:
        change = validated_data.get("inventory", 0) - instance.inventory
        with transaction.atomic():
            if change:
                instance.on_hand += change
                booked = {"kind": "adjustment", "on_hand_change": change, "reason": "edited by hand"}
                StockMovement.objects.create(product=instance, **booked)
            instance.version += 1
            return super().update(instance, validated_data)


class ItemSerializer(serializers.Serializer):
    product_id = serializers.CharField()
    quantity = serializers.IntegerField(min_value=1, max_value=100_000)
    unit_price = serializers.DecimalField(18, 2, min_value=0)
    total_price = serializers.DecimalField(18, 2, min_value=0, default=0)


class OrderSerializer(serializers.ModelSerializer):
    customer_id = serializers.PrimaryKeyRelatedField(queryset=Customer.objects.all(), source="customer")
    items = ItemSerializer(many=True, allow_empty=False, max_length=100)
    total = serializers.DecimalField(18, 2, min_value=0)
    currency = serializers.RegexField("^[A-Z]{3}$", default="USD")

    class Meta:
        model, exclude = Order, ["customer"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if all(each["id"] != attrs["shipping_address_id"] for each in attrs["customer"].addresses):
            raise serializers.ValidationError("no such address")
        wanted = {item["product_id"] for item in attrs["items"]}
        if Product.objects.filter(id__in=wanted).count() != len(wanted):
            raise serializers.ValidationError("no such product")
        for item in attrs["items"]:
            item["total_price"] = item["unit_price"] * item["quantity"]
        if attrs["total"] != sum(item["total_price"] for item in attrs["items"]):
            raise serializers.ValidationError("the total is not the sum of the lines")
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Order:
        items = [
            {**item, "unit_price": str(item["unit_price"]), "total_price": str(item["total_price"])}
            for item in validated_data["items"]
        ]
        return Order.objects.create(**{**validated_data, "items": items})


def page(view: generics.GenericAPIView, queryset: models.QuerySet) -> models.QuerySet:
    limit = int(view.request.query_params.get("limit", 50))
    if not 1 <= limit <= 100:
        raise serializers.ValidationError("limit is from 1 to 100")
    return queryset.order_by("-created_at")[:limit]


class ProductView(generics.RetrieveUpdateAPIView):
    queryset, serializer_class = Product.objects.all(), ProductSerializer


class ProductsView(generics.ListAPIView):
    serializer_class = ProductSerializer

    def get_queryset(self) -> models.QuerySet:
        return page(self, Product.objects.all())


class OrdersView(generics.ListCreateAPIView):
    serializer_class = OrderSerializer

    def get_queryset(self) -> models.QuerySet:
        status = self.request.query_params.get("status")
        if status is not None and status not in Order.Status.values:
            raise serializers.ValidationError("no such status")
        return page(self, Order.objects.filter(status=status) if status else Order.objects.all())


urlpatterns = [
    path("products/<str:pk>", ProductView.as_view()),
    path("products", ProductsView.as_view()),
    path("orders", OrdersView.as_view()),
]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
