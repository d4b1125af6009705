"""Access to AWS: only the calls that the product needs. No other package imports boto3."""
