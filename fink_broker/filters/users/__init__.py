"""Python functions of users as filters: they run in a process of their own, which may die."""
