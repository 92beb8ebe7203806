import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import { en } from './en';

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'ui';
    resources: { ui: typeof en };
  }
}

void i18next.use(initReactI18next).init({
  lng: 'en',
  fallbackLng: 'en',
  defaultNS: 'ui',
  resources: { en: { ui: en } },
  interpolation: { escapeValue: false }, // React escapes
  initAsync: false,
});

export { default as i18n } from 'i18next';
