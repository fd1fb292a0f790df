"""Texts of the command: what `fink` alone prints, and the lines users' scripts look for."""

from __future__ import annotations

from fink_broker.service.catalogue import SERVICES

USAGE = f"""\
Handle Kafka stream received by Apache Spark

Usage:
  fink init [-h] [-c CONF]                 create the data folders and fetch the Java parts
  fink start <service> [-h] [-c CONF] [--simulator] [--detach] [--exit_after N] ...
                                           run a service in the foreground, or (--detach) in the background
  fink stop [<service> | all]              let a service, or all, finish what it has begun, and end it
  fink show                                list the running services, and those that died
  fink logs <service> [-f] [-n N]          print the log of a service
  fink config show [-c CONF]               print the configuration in force and where each value comes from
  fink demo [--source PATH | synthetic] [--limit N] [--rate R] [--with-tom]
                                           run a night from Kafka to Kafka, onto the portal and the dashboard
  fink science list | run FILE | explain CANDID | tracklets FILE
                                           the science modules: what they are, and what they say of alerts
  fink filter list | check RULE | test RULE | explain CANDID | on NAME | off NAME
                                           the topics: try a rule before it becomes one, see what each said
  fink reject list | show PACKET | replay  the packets that could not be used: why, each whole, send them again
  fink transfer --start DATE --stop DATE [--class C] [--where SQL] ...
                                           send a past selection of alerts to a topic for clients to fetch
  fink merge [--night N]                   make few sorted files of a night's many small ones
  fink reprocess --night N [--dry-run]     run science and filters over a stored night again, and tell what changes
  fink archive check --night N [--repair]  prove that raw, science, topics and HBase hold the same alerts
  fink clean [--dry-run]                   remove what is older than it is to be kept
  fink user add NAME | remove NAME | list  who may read which topics with a password
  fink --version                           print the version

To get the arguments of a service: fink start <service> -h
To see what is running:            fink show

Available services are: {", ".join(SERVICES)}
Typical configuration would be ${{FINK_HOME}}/conf/fink.conf"""

USE_STOP = "Use <fink stop service_name> to stop a service."
USE_DASHBOARD = "Use <fink start dashboard> to start the dashboard or check its status."
