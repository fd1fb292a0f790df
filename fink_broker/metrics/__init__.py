"""What running services tell of themselves, on whatever host they run: numbers, last lines of the log, disks."""
