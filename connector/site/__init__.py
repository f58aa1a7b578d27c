"""The connector's own pages: the set-up (`pbx-connector setup`) and the module page of a running connector."""
