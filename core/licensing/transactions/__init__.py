"""All changes to sessions, seats and pools. Each is one transaction, written once for both databases.

A transaction locks the pools of its PBX exclusively (`lock_pools`). Batched sign-ins and sign-outs hold a shared lock
on the same rows, so they run in parallel with each other but never with a transaction. Every transaction ends with
the PBX settled (`settling`).
"""
