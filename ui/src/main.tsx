import '@fontsource-variable/inter/index.css';
import '@mantine/core/styles.css';
import '@mantine/dates/styles.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './app/global.css';
import './i18n';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './app/App';

const place = document.getElementById('root');
if (place === null) throw new Error('the page has no place for the UI');
createRoot(place).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
