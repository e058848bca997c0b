"""Makes service.json and zoho.json, the dashboards that Grafana imports: `deploy/monitoring/generate`.

Each tells a story from top to bottom: is it well, what happens, why, what is short. Panels share colours: green is
deleted or well, red is for the operator, purple for an administrator of Zoho, blue for callers, grey passes by itself.
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models

NAMESPACE = 'namespace=~"$namespace"'
ACCOUNT = f'{NAMESPACE}, account=~"$account"'
PROCESS = f'job="bigin-photo-proxy", {NAMESPACE}'
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#8e8e8e"
ACTS = {"caller": BLUE, "operator": RED, "zoho-admin": PURPLE, "nobody": GREY}
STATUSES = {"200": GREEN, "400": BLUE, "401": PURPLE, "403": PURPLE, "429": YELLOW, "500": RED, "503": RED, "none": GREY}
OUTCOMES = {"deleted": GREEN, "refused": BLUE, "not-sent": YELLOW, "unknown": RED}


def service():
    deletes = f"namespace_account_outcome_code_act:bigin_photo_deletes:rate5m{{{ACCOUNT}}}"
    failed = f'namespace_account_outcome_code_act:bigin_photo_deletes:rate5m{{{ACCOUNT}, outcome!="deleted"}}'
    server = f'http_server_request_duration_seconds_bucket{{{PROCESS}, http_route!=""}}'
    client = f"http_client_request_duration_seconds_bucket{{{ACCOUNT}}}"
    board = dashboard(
        "service", "the service", "Is it well, what becomes of deletions, who must act, and what is short."
    )

    row(board, "Is it well?")
    figures(
        board,
        figure("Alerts", 'count(ALERTS{alertname=~"Bigin.+", alertstate="firing"}) or vector(0)', "short", "alerts")
        .description("Alerts of this program that fire now.")
        .thresholds(steps((None, GREEN), (1, RED))),
        figure("Replicas", f'sum(up{{{PROCESS}}})', "short", "biginnotarget")
        .description("Replicas that Prometheus can scrape.")
        .thresholds(steps((None, RED), (1, GREEN))),
        figure("Deletions", f"sum({deletes})", "reqps", "watch").description("What callers ask for, a second.")
        .thresholds(steps((None, "text"))),
        figure(
            "Confirmed, 1 h",
            f"1 - max(namespace_account:bigin_unconfirmed:ratio_rate1h{{{ACCOUNT}}})",
            "percentunit",
            "biginconfirmedbudgetburningfast",
        )
        .description("Of the account that is worst off: deletions, rightly asked for, that Zoho has confirmed.")
        .decimals(2)
        .thresholds(steps((None, RED), (0.856, YELLOW), (0.99, GREEN))),
        figure(
            "Own part, 1 h",
            f"1 - max(namespace_account:bigin_own_errors:ratio_rate1h{{{ACCOUNT}}})",
            "percentunit",
            "biginownbudgetburningfast",
        )
        .description("Of the account that is worst off: deletions that had a token and met no fault of the proxy's.")
        .decimals(2)
        .thresholds(steps((None, RED), (0.9856, YELLOW), (0.999, GREEN))),
        figure(
            "Slowest 1 %",
            f"histogram_quantile(0.99, sum by (le) (rate({server}[$__rate_interval])))",
            "s",
            "biginoverloaded",
        )
        .description("99 of 100 requests take less. The deadline is 15 s.")
        .thresholds(steps((None, GREEN), (2.5, YELLOW), (10, RED))),
    )

    row(board, "What becomes of deletions, and who must act?")
    stacked(
        board, "Deletions by outcome", "reqps", OUTCOMES, (f"sum by (outcome) ({deletes})", "{{outcome}}"), link="watch"
    ).description("Only `unknown` leaves open whether the photo is still there.")
    stacked(
        board, "Failures by who must act", "reqps", ACTS, (f"sum by (act) ({failed})", "{{act}}"), link="alerts"
    ).description("`nobody`: it passes by itself. docs/errors.md has the codes.")
    lines(board, "Failures by code", "reqps", (f"sum by (code) ({failed})", "{{code}}"), link="alerts")
    lines(
        board,
        "Turned away at the door",
        "reqps",
        (f"sum by (code) (rate(bigin_inbound_rejected_total{{{NAMESPACE}}}[$__rate_interval])) > 0", "{{code}}"),
        (f"sum by (kind) (rate(bigin_inbound_errors_total{{{NAMESPACE}}}[$__rate_interval])) > 0", "{{kind}}"),
        link="watch",
    ).description("Requests that name no deletion (in capitals), and connections that brought none.")

    row(board, "How long does it take?")
    lines(
        board,
        "Requests of callers",
        "s",
        *(
            (f"histogram_quantile({q}, sum by (le) (rate({server}[$__rate_interval])))", name)
            for q, name in ((0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %"))
        ),
        link="biginoverloaded",
    ).description("So many of the requests take less.")
    lines(
        board,
        "Calls to Zoho",
        "s",
        *(
            (f"histogram_quantile({q}, sum by (le) (rate({client}[$__rate_interval])))", name)
            for q, name in ((0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %"))
        ),
        link="biginoverloaded",
    ).description("What Zoho takes of it. The rest is waiting: for a place, or for a token.")

    row(board, "What is short?")
    lines(
        board,
        "Used of what there is",
        "percentunit",
        (share("bigin_calls_in_flight", "bigin_calls_limit", ACCOUNT), "calls at once"),
        (f"max by (runtime) (rate(tokio_runtime_busy_seconds_total{{{PROCESS}}}[$__rate_interval]))", "{{runtime}}"),
        (share("process_open_fds", "process_max_fds", PROCESS), "descriptors"),
        link="biginoverloaded",
        width=8,
    ).description("Of the replica that is worst off. A thread that is busy all the time keeps up no longer.").min(
        0
    ).thresholds(steps((None, GREEN), (0.8, YELLOW), (1, RED)))
    lines(
        board,
        "Waiting and connected",
        "short",
        (f"sum(bigin_requests_waiting{{{ACCOUNT}}})", "requests that wait"),
        (f"sum(bigin_inbound_connections{{{NAMESPACE}}})", "connections"),
        link="biginoverloaded",
        width=8,
    ).description("Requests wait for a token or for a place, at most 64 (upstream.queue) in each replica.").min(0)
    lines(
        board,
        "Memory",
        "bytes",
        (f"process_resident_memory_bytes{{{PROCESS}}}", "{{instance}}"),
        link="scale",
        width=8,
    ).min(0)

    row(board, "How fast are the objectives' budgets of 30 days spent?")
    for title, name, budget, alert in (
        ("The proxy's own part: 99.9 %", "own_errors", 0.001, "biginownbudgetburningfast"),
        ("Deletions confirmed: 99 %", "unconfirmed", 0.01, "biginconfirmedbudgetburningfast"),
    ):
        lines(
            board,
            title,
            "short",
            *(
                (f"max(namespace_account:bigin_{name}:ratio_rate{window}{{{ACCOUNT}}}) / {budget}", f"over {window}")
                for window in ("1h", "6h", "3d")
            ),
            link=alert,
        ).description("At 1 the budget lasts its 30 days, at 14.4 two days. Of the account that is worst off.").min(
            0
        ).axis_soft_max(20).thresholds(steps((None, GREEN), (1, YELLOW), (14.4, RED))).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.DASHED)
        )
    return board


def zoho():
    expiry = f"bigin_token_expiry_timestamp_seconds{{{ACCOUNT}}}"
    asked = (
        "sum by (namespace, account) "
        f'(namespace_account_result:bigin_token_requests:increase10m{{{ACCOUNT}, result!="unreached"}})'
    )
    calls = f"http_client_request_duration_seconds_count{{{ACCOUNT}}}"
    board = dashboard(
        "zoho", "Zoho", "What is left of what Zoho grants: tokens, credits, calls at once; and how its data centers do."
    )

    row(board, "Is it well?")
    figures(
        board,
        figure("Token ends in", f"min(clamp_min({expiry} - time(), 0))", "s", "bigintokenexpiring")
        .description("Of the account and replica that is worst off. It is renewed at 85 to 92 % of its hour.")
        .thresholds(steps((None, RED), (120, YELLOW), (280, GREEN))),
        figure("Token requests, 10 min", f"max({asked})", "short", "bigintokenbudgetlow")
        .description("Of the account with most. The proxy makes 8 at most, and Zoho blocks after 10.")
        .decimals(0)
        .thresholds(steps((None, GREEN), (5.5, YELLOW), (7.5, RED))),
        figure("Next request in", f"max(bigin_token_cooldown_seconds{{{ACCOUNT}}})", "s", "bigintokenunavailable")
        .description("After a failure or a throttle no token is asked for until then.")
        .thresholds(steps((None, GREEN), (1, YELLOW), (120, RED))),
        figure("Tokens alive", f"sum(bigin_token_live{{{ACCOUNT}}})", "short", "scale")
        .description("An estimate. Zoho keeps 10 for a refresh token, and ends the oldest without a word.")
        .thresholds(steps((None, GREEN), (8, YELLOW), (10, RED))),
        figure("Credits left", f"min(bigin_credits_remaining{{{ACCOUNT}}})", "short", "bigincreditslow")
        .description("API credits of the day, of the account that has least. Zoho says so once half are spent.")
        .no_value("over half")
        .thresholds(steps((None, RED), (500, YELLOW), (2500, GREEN))),
        figure("Zoho's API", f"max(bigin_breaker_open{{{ACCOUNT}}})", "short", "biginbreakeropen")
        .description("Left alone: connections to it fail, and one call in 5 s finds out whether it is over.")
        .mappings(
            [
                models.ValueMap(
                    options={
                        "0": models.ValueMappingResult(text="reached", color=GREEN),
                        "1": models.ValueMappingResult(text="left alone", color=RED),
                    }
                )
            ]
        ),
    )

    row(board, "Does every replica have a token?")
    lines(
        board,
        "Life left",
        "s",
        (f"clamp_min({expiry} - time(), 0)", "{{account}} {{instance}}"),
        link="bigintokenexpiring",
    ).description("It falls for an hour and jumps up at each renewal. At 0 callers get TOKEN_UNAVAILABLE.").min(
        0
    ).thresholds(steps((None, RED), (280, GREEN))).thresholds_style(
        common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.LINE)
    )
    colored(
        lines(
            board,
            "Token requests in 15 minutes",
            "short",
            (f"sum by (result) (namespace_account_result:bigin_token_requests:increase15m{{{ACCOUNT}}}) > 0",
             "{{result}}"),
            link="bigintokenunavailable",
        )
        .description("One an hour is normal, for all replicas that share a store.")
        .line_interpolation(kinds.LineInterpolation.STEP_AFTER)
        .fill_opacity(20)
        .min(0),
        {"ok": GREEN, "unreached": YELLOW, "failed": ORANGE, "refused": RED, "throttled": PURPLE},
    )
    lines(
        board,
        "Budget of token requests, and tokens alive",
        "short",
        (asked, "{{account}}: made in 10 minutes"),
        (f"min by (account) (bigin_token_budget_remaining{{{ACCOUNT}}})", "{{account}}: left to a replica"),
        (f"sum by (account) (bigin_token_live{{{ACCOUNT}}})", "{{account}}: tokens alive"),
        link="bigintokenbudgetlow",
    ).min(0)
    lines(
        board,
        "Token store",
        "ops",
        (f'sum by (command) (rate(bigin_token_store_commands_total{{{ACCOUNT}, result="ok"}}[$__rate_interval]))',
         "{{command}}"),
        (f'sum by (result) (rate(bigin_token_store_commands_total{{{ACCOUNT}, result!="ok"}}[$__rate_interval])) > 0',
         "fails: {{result}}"),
        link="biginstoreunreachable",
    ).description("Commands that it answered, and why it did not.").no_value("no token store")

    row(board, "What is left of what Zoho allows?")
    lines(
        board,
        "Credits left",
        "short",
        (f"min by (account) (bigin_credits_remaining{{{ACCOUNT}}})", "{{account}}"),
        (f"min by (account) (bigin_daily_calls_remaining{{{ACCOUNT}}})", "{{account}}: of daily_calls"),
        link="bigincreditslow",
        width=8,
    ).min(0).override_by_regexp(
        ".*daily_calls", [models.DynamicConfigValue(id_val="custom.axisPlacement", value="right")]
    )
    lines(
        board,
        "Calls at once",
        "short",
        (f"sum by (account) (bigin_calls_in_flight{{{ACCOUNT}}})", "{{account}}"),
        (f"sum by (account) (bigin_calls_limit{{{ACCOUNT}}})", "{{account}}: limit"),
        link="biginoverloaded",
        width=8,
    ).description("Of all replicas. The limit falls while Zoho takes fewer calls, and rises again by itself.").min(0)
    lines(
        board,
        "Second calls",
        "reqps",
        (f"sum by (result) (rate(bigin_retries_total{{{ACCOUNT}}}[$__rate_interval]))", "{{result}}"),
        (f"sum(rate(bigin_retries_refused_total{{{ACCOUNT}}}[$__rate_interval]))", "not made"),
        link="biginbreakeropen",
        width=8,
    ).description("Won: the photo was deleted. Not made: too many were before.").min(0)

    row(board, "How do Zoho's data centers do?")
    stacked(
        board,
        "Answers by status",
        "reqps",
        STATUSES,
        (
            f'sum by (status) (label_replace(label_replace(rate({calls}[$__rate_interval]), "status", "none", "", ""), '
            '"status", "$1", "http_response_status_code", "(.+)"))',
            "{{status}}",
        ),
        link="biginbreakeropen",
        width=8,
    ).description("`none`: no answer came.")
    lines(
        board,
        "Calls by data center",
        "reqps",
        (f"sum by (server_address) (rate({calls}[$__rate_interval]))", "{{server_address}}"),
        link="biginbreakeropen",
        width=8,
    ).min(0)
    lines(
        board,
        "95 % of calls take less, by data center",
        "s",
        (
            "histogram_quantile(0.95, sum by (server_address, le) "
            f"(rate(http_client_request_duration_seconds_bucket{{{ACCOUNT}}}[$__rate_interval])))",
            "{{server_address}}",
        ),
        link="biginoverloaded",
        width=8,
    ).min(0)
    return board


def dashboard(name, title, description):
    """An empty one, with its variables and the way to the other one and to the handbook."""
    choose = lambda variable, label, query: (
        build.QueryVariable(variable)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    return (
        build.Dashboard(f"bigin-photo-proxy: {title}")
        .uid(f"bigin-photo-proxy-{name}")
        .description(description)
        .tags(["bigin-photo-proxy"])
        .timezone("browser")
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(choose("namespace", "Namespace", "label_values(bigin_build_info, namespace)"))
        .with_variable(choose("account", "Account", "label_values(bigin_token_expiry_timestamp_seconds, account)"))
        .with_variable(
            build.TextBoxVariable("handbook")
            .label("Handbook")
            .default_value("https://example.com/bigin-photo-proxy/docs/operations.md")
        )
        .link(build.DashboardLink("Handbook").type(models.DashboardLinkType.LINK).url("${handbook}").target_blank(True))
        .link(
            build.DashboardLink("Dashboards")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["bigin-photo-proxy"])
            .include_vars(True)
            .keep_time(True)
        )
    )


def row(board, title):
    board.with_row(build.Row(title))


def figures(board, *panels):
    for panel in panels:
        board.with_panel(panel.span(24 // len(panels)).height(4))


def figure(title, query, unit, link):
    """One number, as it is now."""
    panel = stat.Panel().graph_mode(kinds.BigValueGraphMode.NONE).reduce_options(
        common.ReduceDataOptions().calcs(["lastNotNull"])
    )
    return with_queries(panel, title, unit, link, ((query, title),))


def lines(board, title, unit, *queries, link, width=12):
    panel = (
        timeseries.Panel()
        .span(width)
        .height(8)
        .line_width(2)
        .fill_opacity(0)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    board.with_panel(with_queries(panel, title, unit, link, queries))
    return panel


def stacked(board, title, unit, colors, *queries, link, width=12):
    panel = lines(board, title, unit, *queries, link=link, width=width)
    panel.fill_opacity(70).line_width(0).min(0).stacking(
        common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A")
    )
    return colored(panel, colors)


def colored(panel, colors):
    for name, color in colors.items():
        panel.override_by_name(
            name, [models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})]
        )
    return panel


def with_queries(panel, title, unit, link, queries):
    panel.title(title).unit(unit).datasource(SOURCE).links(
        [build.DashboardLink("What to do").type(models.DashboardLinkType.LINK).url(f"${{handbook}}#{link}")]
    )
    for name, (query, legend) in zip("ABCDEF", queries):
        panel.with_target(
            prometheus.Dataquery().datasource(SOURCE).ref_id(name).expr(query).legend_format(legend).range()
        )
    return panel


def share(used, limit, selector):
    return f"max({used}{{{selector}}} / {limit}{{{selector}}})"


def steps(*steps):
    return build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(
        [models.Threshold(value=value, color=color) for value, color in steps]
    )


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    for make in (service, zoho):
        board = make().build()
        for number, panel in enumerate(board.panels, start=1):
            panel.id_val = number
        text = JSONEncoder(sort_keys=True, indent=2).encode(board)
        (directory / f"{make.__name__}.json").write_text(text + "\n")
