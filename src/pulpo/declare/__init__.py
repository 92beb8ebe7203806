"""From user code to an `AppSpec`: decorators attach frozen descriptions, discovery gathers them."""
