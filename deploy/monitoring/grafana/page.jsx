// A dashboard as Grafana draws it, with its own components. `window.board` is the dashboard's JSON, `window.answers` what
// Prometheus answered to each panel's queries, `window.range` the time in milliseconds.

import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  FieldColorModeId, FieldType, ThemeContext, createTheme, dateTime, getDisplayProcessor, toDataFrame,
} from '@grafana/data';
import { BigValue, PanelChrome, PortalContainer, TimeSeries } from '@grafana/ui';

const WIDTH = 1480;
const GAP = 8;
const theme = createTheme({ colors: { mode: 'light' } });
const { board, answers, range } = window;
const timeRange = { from: dateTime(range.from), to: dateTime(range.to), raw: { from: 'now-3h', to: 'now' } };

// What Grafana's own defaults are for a time series.
const CUSTOM = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', pointSize: 5,
  barAlignment: 0, axisPlacement: 'auto', gradientMode: 'none', spanNulls: false, scaleDistribution: { type: 'linear' },
  stacking: { mode: 'none', group: 'A' }, thresholdsStyle: { mode: 'off' },
  hideFrom: { legend: false, tooltip: false, viz: false },
};

function frames(panel) {
  const defaults = panel.fieldConfig?.defaults ?? {};
  return answers[panel.id].series.map(({ name, times, values }, seriesIndex) => {
    const overrides = (panel.fieldConfig?.overrides ?? []).filter(({ matcher: { id, options } }) =>
      id === 'byRegexp' ? new RegExp(options).test(name) : options === name);
    const overridden = (id) => overrides.flatMap((one) => one.properties).find((one) => one.id === id)?.value;
    const byThreshold = panel.type === 'stat' && { mode: FieldColorModeId.Thresholds };
    const frame = toDataFrame({
      fields: [
        { name: 'Time', type: FieldType.time, values: times },
        {
          name, type: FieldType.number, values,
          config: {
            ...defaults, displayName: name,
            custom: { ...CUSTOM, ...defaults.custom, axisPlacement: overridden('custom.axisPlacement') ?? 'auto' },
            color: overridden('color') ?? (byThreshold || { mode: FieldColorModeId.PaletteClassic }),
          },
        },
      ],
    });
    for (const field of frame.fields) {
      field.state = { seriesIndex };
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    }
    return frame;
  });
}

function Figure({ panel, width, height }) {
  const [frame] = frames(panel);
  const [, field] = frame.fields;
  const value = field.display(field.values.filter((one) => one !== null).at(-1));
  return (
    <BigValue
      theme={theme} width={width} height={height} value={value} colorMode="value" graphMode={panel.options.graphMode}
      justifyMode="auto" textMode="value"
    />
  );
}

function Lines({ panel, width, height }) {
  return (
    <TimeSeries
      frames={frames(panel)} width={width} height={height} timeRange={timeRange} timeZone="utc"
      legend={panel.options.legend} options={panel.options}
    >
      {() => null}
    </TimeSeries>
  );
}

function Body({ panel, width, height }) {
  const { error, series } = answers[panel.id];
  if (error || series.length === 0) {
    const color = error ? theme.colors.error.text : theme.colors.text.secondary;
    const text = error ?? panel.fieldConfig?.defaults?.noValue ?? 'No data';
    return <div style={{ color, textAlign: 'center', paddingTop: height / 2 - 20 }}>{text}</div>;
  }
  return panel.type === 'stat' ? <Figure {...{ panel, width, height }} /> : <Lines {...{ panel, width, height }} />;
}

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH + GAP) / 24;
  const width = w * column - GAP;
  const height = h * 38 - GAP;
  const place = { position: 'absolute', left: x * column, top: y * 38, width, height };
  if (panel.type === 'row') {
    return <div style={{ ...place, ...theme.typography.h5, paddingTop: 4 }}>⌄ {panel.title}</div>;
  }
  return (
    <div style={place}>
      <PanelChrome width={width} height={height} title={panel.title} description={panel.description}>
        {(innerWidth, innerHeight) => <Body panel={panel} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </div>
  );
}

const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
const page = {
  ...theme.typography.body, color: theme.colors.text.primary, background: theme.colors.background.canvas,
  padding: 16, width: WIDTH,
};
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <div style={page}>
      <div style={theme.typography.h3}>{board.title}</div>
      <div style={{ color: theme.colors.text.secondary, marginBottom: 8 }}>{board.description}</div>
      <div style={{ position: 'relative', height: bottom * 38 }}>
        {board.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
      </div>
      <PortalContainer />
    </div>
  </ThemeContext.Provider>,
);
