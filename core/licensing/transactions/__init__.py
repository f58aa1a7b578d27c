"""Every change of sessions, seats and pools, each one transaction, written once for both databases.

Who comes here has the pools of the PBX to themselves (`lock_pools`): quick takes and frees, which run beside each
other, hold the same rows shared. Every transaction leaves the PBX settled (`settling`).
"""
