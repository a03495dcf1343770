"""The deployment of DerivaSys on AWS, as CDK stacks."""
