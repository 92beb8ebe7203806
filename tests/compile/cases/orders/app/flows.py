from pulpo import flow

flow("order_to_cash", includes=["orders", "payments"], one_per="order_id")
flow("orders", includes=["orders"], one_per="order_id")
