"""The shop's own rules, below its operations: prices, rates, states, stock, money."""
