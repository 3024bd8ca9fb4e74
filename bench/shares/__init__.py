"""The benchmark of shares: what one caller feels while another takes all that its license key may have."""
