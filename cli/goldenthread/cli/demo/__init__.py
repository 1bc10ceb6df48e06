"""Make simulated customers, and show the service with them.

from goldenthread.cli.demo import simulate_records, write_csv
write_csv(Path("customers.csv"), 100_000, seed=1)
"""

from goldenthread.cli.demo.files import shuffled, write_csv
from goldenthread.cli.demo.sources import COLUMNS, DEFAULT_SEED, SimulatedConsent, SimulatedRecord, simulate_records

__all__ = ["COLUMNS", "DEFAULT_SEED", "SimulatedConsent", "SimulatedRecord", "shuffled", "simulate_records", "write_csv"]
