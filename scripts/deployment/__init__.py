"""What `fruits deploy` and `fruits undeploy` do: a module for each platform, and what the platforms share."""
