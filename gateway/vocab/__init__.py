"""The words every other floor speaks: values and names, no behaviour and no imports of ours."""
