"""Unit tests of quote selection and smile fitting, one file per source file."""
