"""Observability: log groups, alarms on the services' own metrics, a dashboard, and whom to tell."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from derivasys_infra.alarms import Alarm, Series, alarms
from derivasys_infra.catalogue import catalogue
from derivasys_infra.config import Config

LOG_GROUPS = ("connector", "calibrator", "gateway", "recorder", "canary", "topics", "kafka")
RETENTION = {1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH",
    60: "TWO_MONTHS", 90: "THREE_MONTHS", 120: "FOUR_MONTHS", 180: "SIX_MONTHS", 365: "ONE_YEAR",
    400: "THIRTEEN_MONTHS", 731: "TWO_YEARS"}  # fmt: skip


def retention(config: Config) -> logs.RetentionDays:
    return getattr(logs.RetentionDays, RETENTION[config.observability.retention_days])


class Observability(cdk.Stack):
    """`groups` by service; the alarms tell `topic`."""

    def __init__(self, scope: Construct, id: str, config: Config, key: kms.IKey, **kwargs: object) -> None:
        super().__init__(scope, id, **kwargs)
        self._namespace = f"{catalogue.NAMESPACE}/{config.environment}"
        self.groups = {
            name: logs.LogGroup(
                self,
                f"{name.title()}Logs",
                log_group_name=f"/{config.prefix}/{name}",
                retention=retention(config),
                encryption_key=key,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            )
            for name in LOG_GROUPS
        }
        self.topic = sns.Topic(self, "Alarms", topic_name=f"{config.prefix}-alarms", master_key=key, enforce_ssl=True)
        for address in config.observability.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(address))
        self.alarms = [self._alarm(config, alarm) for alarm in alarms(config)]
        self._dashboard(config)

    def _metric(
        self, series: Series, statistic: str, period_s: int = 60, *, is_labelled: bool = True
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=series.metric,
            dimensions_map=series.dimensions(),
            statistic=statistic,
            period=cdk.Duration.seconds(period_s),
            label=" ".join((series.service, *series.values)) if is_labelled else None,
        )

    def _alarm(self, config: Config, alarm: Alarm) -> cloudwatch.Alarm:
        metrics = [self._metric(series, alarm.statistic, alarm.period_s, is_labelled=False) for series in alarm.series]
        if len(metrics) == 1:
            metric: cloudwatch.IMetric = metrics[0]
        else:
            using = {f"m{at}": each for at, each in enumerate(metrics)}
            metric = cloudwatch.MathExpression(
                expression="MAX([{}])".format(", ".join(f"FILL({name}, 0)" for name in using)),
                using_metrics=using,
                period=cdk.Duration.seconds(alarm.period_s),
                label=f"{alarm.kind} {alarm.of}",
            )
        made = cloudwatch.Alarm(
            self,
            f"Alarm-{alarm.kind}-{alarm.of}",
            alarm_name=f"{config.prefix}-{alarm.kind}-{alarm.of}",
            alarm_description=f"docs/runbook.md#{alarm.kind}",
            metric=metric,
            threshold=alarm.threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            treat_missing_data=(
                cloudwatch.TreatMissingData.BREACHING
                if alarm.missing == "breaching"
                else cloudwatch.TreatMissingData.NOT_BREACHING
            ),
            actions_enabled=True,
        )
        # Alarms that wake nobody still tell the topic when they end; the subject says which they are.
        made.add_alarm_action(actions.SnsAction(self.topic))
        if alarm.pages:
            made.add_ok_action(actions.SnsAction(self.topic))
        return made

    def _dashboard(self, config: Config) -> None:
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=config.prefix)

        def graph(title: str, series: list[Series], statistic: str) -> cloudwatch.GraphWidget:
            return cloudwatch.GraphWidget(
                title=title, width=12, height=6, left=[self._metric(each, statistic) for each in series]
            )

        feeds = [Series("FeedAgeSeconds", "connector", (v, c)) for v, ccys in config.venues.items() for c in ccys]
        ages = [Series("SnapshotAgeSeconds", s, (c,)) for s in ("calibrator", "gateway") for c in config.ccys]
        rmse = [Series("CalibrationRmse", "calibrator", (c, b)) for c in config.ccys for b in catalogue.BUCKETS]
        inside = [Series("InsideShare", "calibrator", (c, b)) for c in config.ccys for b in catalogue.BUCKETS]
        lag = [Series("TopicLag", "calibrator", ("quotes",)), Series("TopicLag", "gateway", ("patches",))]
        drops = [Series("DroppedMessages", "gateway", ("slow_client",))]
        drops += [Series("DroppedMessages", service, ("undecodable",)) for service in ("connector", "calibrator")]
        dashboard.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", width=24, height=6, alarms=self.alarms))
        dashboard.add_widgets(
            graph("Feed age, s", feeds, "Maximum"),
            graph("Surface age, s", ages, "Minimum"),
            graph("Worst rmse by bucket, vol points", rmse, "Maximum"),
            graph("Quotes inside bid-ask by bucket, %", inside, "Minimum"),
            graph(
                "Fit, ms", [Series("FitMilliseconds", "calibrator"), Series("CycleMilliseconds", "calibrator")], "p99"
            ),
            graph("Topic lag", lag, "Maximum"),
            graph("Clients of a gateway", [Series("Connections", "gateway")], "Average"),
            graph("Egress of a gateway, B/s", [Series("EgressBytesPerSecond", "gateway")], "Average"),
            graph("Dropped", drops, "Sum"),
            graph("Reconnects", [Series("Reconnects", "connector", (v,)) for v in config.venues], "Sum"),
        )
