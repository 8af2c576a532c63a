"""Run notebooks on NES, the Notebook Execution Service, from Apache Airflow."""

__version__ = "0.1.0"
