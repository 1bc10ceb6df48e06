"""Ask people about pairs of records that the service is not sure of, and keep what they say."""
