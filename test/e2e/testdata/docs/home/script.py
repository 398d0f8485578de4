print("42 orders")
