"""The door to AWS: only the calls that the product needs; boto3 lives here and nowhere else."""
