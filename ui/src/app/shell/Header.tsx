import { ActionIcon, Burger, Menu, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { spotlight } from '@mantine/spotlight';
import { IconDeviceDesktop, IconMoon, IconSearch, IconSun } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../../api/meta';
import { Chip } from '../../components/Chip';
import { useLiveStatus } from '../../live/Live';
import classes from './Shell.module.css';

export function Header({ opened, toggle }: { opened: boolean; toggle: () => void }) {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  return (
    <div className={classes.bar}>
      <div className={classes.left}>
        <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={t('nav.open')} />
        <Link to="/" className={classes.title}>
          {meta.ui.title}
        </Link>
        {meta.mode === 'dev' && (
          <span className={classes.badge}>
            <Chip colour="orange">{t('header.development')}</Chip>
          </span>
        )}
      </div>
      <button type="button" className={classes.search} onClick={spotlight.open}>
        <IconSearch size={16} stroke={1.8} aria-hidden />
        <span>{t('header.search')}</span>
        <kbd aria-hidden>Ctrl K</kbd>
      </button>
      <div className={classes.right}>
        <LiveBadge />
        <ThemeMenu />
      </div>
    </div>
  );
}

function LiveBadge() {
  const { t } = useTranslation();
  const status = useLiveStatus();
  return (
    <Tooltip label={t(`live.explain.${status}`)}>
      <span className={classes.live} data-status={status} role="status">
        <i aria-hidden />
        {status === 'offline' ? <span>{t('live.offline')}</span> : <b>{t(`live.${status}`)}</b>}
      </span>
    </Tooltip>
  );
}

const THEMES = [
  ['light', IconSun],
  ['dark', IconMoon],
  ['auto', IconDeviceDesktop],
] as const;

function ThemeMenu() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const shown = useComputedColorScheme();
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t('header.theme', { theme: t(`header.${colorScheme}`) })}>
          {shown === 'dark' ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />}
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {THEMES.map(([name, Drawing]) => (
          <Menu.Item
            key={name}
            leftSection={<Drawing size={16} aria-hidden />}
            aria-current={name === colorScheme}
            onClick={() => setColorScheme(name)}
            fw={name === colorScheme ? 600 : 400}
          >
            {t(`header.${name}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
