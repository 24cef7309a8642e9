"""What a Gaussian mixture is fitted by: starts, expectation-maximisation, matching."""
