from pulpo import flow

flow("all_of_it", includes=["orders"])
