"""The one way to the PBX and to the service: proxy, addresses, certificates, time limits and the words for what fails.

Link, REST, UCI and doctor all go it, so that the doctor finds what the link meets.
"""
