"""The portal: pages at /portal of the gateway, for partners who sign in with their license key."""
