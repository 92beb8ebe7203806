import '@xyflow/react/dist/style.css';

import { useComputedColorScheme } from '@mantine/core';
import {
  Background,
  Controls,
  Handle,
  Position,
  ReactFlow,
  type Edge,
  type Node,
  type NodeProps,
  type NodeTypes,
} from '@xyflow/react';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Plan, RunState } from '../../api/types';
import { duration } from '../../components/format';
import { StateIcon } from '../../components/RunState';
import { words } from '../../schema/tree';
import type { Bar } from '../runs/figures';
import { toneOf } from '../runs/tone';
import classes from './Flow.module.css';
import { layout, NODE, type Layout } from './layout';

interface GraphProps {
  plan: Plan;
  titled: (operation: string) => string;
  bars: readonly Bar[];
  open: (operation: string) => void;
}

type StepNode = Node<{ title: string; state: RunState | null; took: number | null; undone: boolean; running: boolean }, 'step'>;
type LaneNode = Node<{ title: string }, 'lane'>;

const TYPES: NodeTypes = { step: StepBox, lane: LaneBox };
const SHORTEST = 220;
const TALLEST = 560;

/** A plan drawn in lanes, one for each group; with a run, each step in its state. */
export function FlowGraph({ plan, titled, bars, open }: GraphProps) {
  const { t } = useTranslation();
  const scheme = useComputedColorScheme();
  const placed = useMemo(() => layout(plan), [plan]);
  const nodes = [...lanesOf(placed), ...stepsOf(placed, bars, titled)];
  const height = Math.min(TALLEST, Math.max(SHORTEST, placed.height + 96));
  return (
    <div className={classes.canvas} style={{ height }} role="region" aria-label={t('flow.canvas')}>
      <ReactFlow
        nodes={nodes}
        edges={edgesOf(plan, bars)}
        nodeTypes={TYPES}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: { top: '16px', left: '16px', right: '16px', bottom: '48px' }, maxZoom: 1 }}
        minZoom={0.25}
        maxZoom={1.6}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable
        edgesFocusable={false}
        zoomOnScroll={false}
        preventScrolling={false}
        onNodeClick={(_, node) => node.type === 'step' && open(node.id)}
        proOptions={{ hideAttribution: true }}
        ariaLabelConfig={{
          'controls.zoomIn.ariaLabel': t('flow.zoomIn'),
          'controls.zoomOut.ariaLabel': t('flow.zoomOut'),
          'controls.fitView.ariaLabel': t('flow.fit'),
        }}
      >
        <Background gap={14} size={1} />
        <Controls showInteractive={false} orientation="horizontal" position="bottom-left" />
      </ReactFlow>
    </div>
  );
}

function lanesOf(placed: Layout): LaneNode[] {
  return placed.lanes.map((lane) => ({
    id: `lane:${lane.group}`,
    type: 'lane',
    position: { x: lane.x, y: lane.y },
    data: { title: words(lane.group.split('.').at(-1) ?? lane.group) },
    style: { width: lane.width, height: lane.height },
    width: lane.width,
    height: lane.height,
    selectable: false,
    focusable: false,
    zIndex: -1,
  }));
}

function stepsOf(placed: Layout, bars: readonly Bar[], titled: (operation: string) => string): StepNode[] {
  return placed.steps.map(({ operation, x, y }) => {
    const bar = bars.find((each) => each.operation === operation && !each.compensation);
    const title = titled(operation);
    return {
      id: operation,
      type: 'step',
      position: { x, y },
      width: NODE.width,
      height: NODE.height,
      ariaLabel: title,
      data: {
        title,
        state: bar?.state ?? null,
        took: bar?.took ?? null,
        undone: bars.some((each) => each.step?.of === operation && each.state === 'completed'),
        running: bars.length > 0,
      },
    };
  });
}

function edgesOf(plan: Plan, bars: readonly Bar[]): Edge[] {
  const states = new Map(bars.filter((bar) => !bar.compensation).map((bar) => [bar.operation, bar.state]));
  return plan.edges.map((edge) => ({
    id: `${edge.before} ${edge.after}`,
    source: edge.before,
    target: edge.after,
    animated: states.get(edge.before) === 'completed' && states.get(edge.after) === 'running',
    ariaLabel: edge.why,
    focusable: false,
  }));
}

function StepBox({ data }: NodeProps<StepNode>) {
  const { t } = useTranslation();
  return (
    <div className={classes.step} data-tone={data.undone ? 'undo' : toneOf(data.state)} data-state={data.state ?? 'none'}>
      <Handle type="target" position={Position.Left} className={classes.handle ?? ''} isConnectable={false} />
      {data.running && <StateIcon state={data.state} size={15} />}
      <span className="ellipsis" title={data.title}>
        {data.title}
      </span>
      {data.undone ? (
        <small>{t('run.undone')}</small>
      ) : (
        data.took !== null && <small className="tabular nowrap">{duration(data.took)}</small>
      )}
      <Handle type="source" position={Position.Right} className={classes.handle ?? ''} isConnectable={false} />
    </div>
  );
}

function LaneBox({ data }: NodeProps<LaneNode>) {
  return (
    <div className={classes.lane}>
      <span>{data.title}</span>
    </div>
  );
}
