import { useMediaQuery } from '@mantine/hooks';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { duration } from '../../components/format';
import { StateIcon } from '../../components/RunState';
import { ticks, type Bar, type Figures } from './figures';
import classes from './Runs.module.css';
import { toneOf } from './tone';

/** From this share of the axis on, a bar has room for its own length inside; on a phone the axis is short. */
const ROOMY = 9;
const ROOMY_ON_PHONE = 28;
const FULL = 100;

/** The steps on one time line, in plain elements; the axis begins when the run did. */
export function Gantt({ figures, open }: { figures: Figures; open: (bar: Bar) => void }) {
  const { span, bars } = figures;
  const share = (milliseconds: number) => (milliseconds / span) * FULL;
  return (
    <div className={classes.gantt}>
      <div className={classes.axis} aria-hidden>
        {ticks(span).map((tick) => (
          <span key={tick} className={classes.tick} style={{ left: `${share(tick)}%` }} data-last={share(tick) > 93 || undefined} data-late={share(tick) > 70 || undefined}>
            {duration(tick)}
          </span>
        ))}
      </div>
      <ol className={classes.bars}>
        {bars.map((bar) => (
          <li key={bar.key}>
            <button type="button" className={classes.bar} onClick={() => open(bar)}>
              <Name bar={bar} />
              <span className={classes.track}>{bar.start !== null && <Fill bar={bar} left={share(bar.start)} width={share(bar.took ?? 0)} />}</span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}

function Name({ bar }: { bar: Bar }) {
  const { t } = useTranslation();
  return (
    <span className={classes.barName}>
      {bar.compensation ? <UndoIcon bar={bar} /> : <StateIcon state={bar.state} size={16} />}
      <span className="ellipsis" title={bar.operation}>
        {bar.compensation ? t('run.undo', { step: bar.title }) : bar.title}
      </span>
    </span>
  );
}

function UndoIcon({ bar }: { bar: Bar }) {
  if (bar.state !== 'completed') return <StateIcon state={bar.state} size={16} />;
  return <IconArrowBackUp size={16} color="var(--p-undo)" aria-hidden />;
}

function Fill({ bar, left, width }: { bar: Bar; left: number; width: number }) {
  const { t } = useTranslation();
  const phone = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const room = phone ? ROOMY_ON_PHONE : ROOMY;
  const inside = width > room;
  const toLeft = !inside && left + width > FULL - room;
  const tone = bar.compensation && bar.state === 'completed' ? 'undo' : toneOf(bar.state);
  return (
    <>
      <span
        className={classes.fill}
        data-tone={tone}
        data-critical={bar.critical || undefined}
        style={{ left: `min(${left}%, calc(100% - 3px))`, width: `${width}%` }}
      />
      <span
        className={classes.length}
        data-inside={inside || undefined}
        data-left={toLeft || undefined}
        style={{ left: `${inside || toLeft ? left : left + width}%` }}
      >
        {duration(bar.took ?? 0)}
        {bar.critical && <span className="visually-hidden"> {t('run.critical')}</span>}
      </span>
    </>
  );
}
