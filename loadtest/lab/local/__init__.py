"""The lab as local processes, limited through cgroups. Imports gateway and services."""
