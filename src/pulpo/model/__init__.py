"""What user code writes models with: `Model`, `Embedded`, `Field`, `Ref`, `Money` and conditions on fields."""
