"""The notifier: alerts of filtered topics, posted to chat channels and other programs.

It reads the broker's output topics as any other client does, with a consumer group for each webhook. Nothing that
happens at a far end can therefore reach the stream, and one far end cannot hold up another.

=================================== =========================================================================
module                              subject
=================================== =========================================================================
``notifier``                        the service: webhooks come, change and go with the file that names them
``webhook_file``, ``webhook``       the file; one ``[[webhook]]`` table and all that can be wrong with it
``channel``                         one webhook at work: read, plan, post, settle
``intake``                          its Kafka side: where it begins, what it has read, what it commits
``notice``, ``template``            what of an alert is told, and in which words
``planner``, ``pace``               what to post next: one alert, or a summary of many; never too often
``formats``                         the bodies Slack, Telegram and programs expect
``poster``, ``backoff``, ``scrub``  one HTTP request, its outcome, and no secret in either
``posted``, ``status``              what a restart must know, and what a person wants to know
``trial``                           one made-up alert to one webhook
=================================== =========================================================================
"""

from fink_broker.notify.notifier import run

__all__ = ["run"]
