"""The network path to the PBX and to the service: proxy, addresses, certificates, time-outs, and explanations of failures.

Link, REST, UCI and doctor all use it, so that the doctor finds the same faults as the link.
"""
