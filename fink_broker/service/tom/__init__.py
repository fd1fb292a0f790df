"""The service ``tom``: a TOM Toolkit with our module, in an environment and a project folder of its own.

TOM Toolkit wants other versions of packages than the broker, so it lives in a Python environment beside ours and is
only ever talked to through processes, files and HTTP.
"""
