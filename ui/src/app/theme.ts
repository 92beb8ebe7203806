import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core';

import { i18n } from '../i18n';

const dark: MantineColorsTuple = [
  '#d5d7db', '#b9bcc2', '#9da1a9', '#70747d', '#3b3e45', '#2d3036', '#232529', '#17191c', '#101214', '#0b0c0e',
]; // prettier-ignore

/** The page has one banner; the heads of what opens on it are none. */
const opened = {
  shadow: 'none',
  attributes: { header: { role: 'presentation' } },
  closeButtonProps: { 'aria-label': i18n.t('common.close') },
};

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 7 },
  colors: { dark },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', Menlo, monospace",
  fontSizes: { xs: '11.5px', sm: '13.5px', md: '14px', lg: '16px', xl: '18px' },
  defaultRadius: 6,
  cursorType: 'pointer',
  respectReducedMotion: true,
  headings: { fontWeight: '650', sizes: { h1: { fontSize: '22px', lineHeight: '1.3' }, h2: { fontSize: '15px' } } },
  components: {
    Button: { defaultProps: { size: 'sm' } },
    InputWrapper: { defaultProps: { inputWrapperOrder: ['label', 'input', 'description', 'error'] } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
    Menu: { defaultProps: { shadow: 'none', position: 'bottom-end' } },
    Modal: { defaultProps: { ...opened, centered: true, overlayProps: { backgroundOpacity: 0.45 } } },
    Popover: { defaultProps: { shadow: 'none' } },
    Drawer: { defaultProps: opened },
    Notification: { defaultProps: { withBorder: true } },
  },
});

/** Mantine's own dimmed, placeholder and error colours are too pale for AA; borders here are one pixel and calm. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#5a626b',
    '--mantine-color-placeholder': '#6b727b',
    '--mantine-color-error': '#c22727',
    '--mantine-color-red-filled': '#c22727',
    '--mantine-color-red-filled-hover': '#a81f1f',
    '--mantine-color-default-border': '#dfe2e6',
    '--mantine-color-text': '#101316',
    '--mantine-color-anchor': '#3b5bdb',
    '--p-canvas': '#fafafa',
    '--p-surface': '#ffffff',
    '--p-line': '#e4e6ea',
    '--p-row': '#f6f7f9',
    '--p-active': '#edf2ff',
    '--p-active-text': '#2b44ad',
    '--p-track': '#eef0f3',
    '--p-ok': '#237a3b',
    '--p-bad': '#c22727',
    '--p-busy': '#1b6ec2',
    '--p-wait': '#946200',
    '--p-calm': '#5a626b',
    '--p-undo': '#6741d9',
  },
  dark: {
    '--mantine-color-dimmed': '#9da1a9',
    '--mantine-color-placeholder': '#8b9099',
    '--mantine-color-error': '#ff8f8f',
    '--mantine-color-red-filled': '#c22727',
    '--mantine-color-red-filled-hover': '#a81f1f',
    '--mantine-color-default-border': '#33363d',
    '--mantine-color-text': '#d9dbdf',
    '--mantine-color-anchor': '#8ea8ff',
    '--mantine-color-body': '#17191c',
    '--p-canvas': '#0d0f11',
    '--p-surface': '#141619',
    '--p-line': '#26292e',
    '--p-row': '#1a1d21',
    '--p-active': '#1d2440',
    '--p-active-text': '#b4c3ff',
    '--p-track': '#1f2227',
    '--p-ok': '#2f9e4f',
    '--p-bad': '#ff8f8f',
    '--p-busy': '#5aa9f2',
    '--p-wait': '#e0a526',
    '--p-calm': '#9da1a9',
    '--p-undo': '#a791f5',
  },
});
