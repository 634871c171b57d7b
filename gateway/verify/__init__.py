"""The isolation prover: attacks a running gateway as one customer, and looks for anything of another in the replies.

It shares no decision with the gateway: it reads the table of routes, and judges bytes.
"""
