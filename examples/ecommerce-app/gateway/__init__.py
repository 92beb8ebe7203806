"""A simulated payment gateway: a process of its own with its own records. It moves no money and needs no account.

Test methods, in the manner of real gateways:

* `pm_card_visa`, `pm_card_mastercard`: approved
* `pm_card_chargeDeclined`, `pm_card_insufficientFunds`, `pm_card_expired`: declined, each for its reason
* `pm_card_slow`: approved after two seconds
* `pm_card_timeoutBefore`, `pm_card_timeoutAfter`: the first call of a key hangs, and charges nothing, or charges first
"""
