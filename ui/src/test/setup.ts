import '../i18n';

// What Mantine asks of a browser and jsdom does not have.
window.matchMedia = (query: string) =>
  ({ matches: false, media: query, addEventListener: () => undefined, removeEventListener: () => undefined }) as unknown as MediaQueryList;

window.ResizeObserver = class {
  observe = () => undefined;
  unobserve = () => undefined;
  disconnect = () => undefined;
};

Object.defineProperty(document, 'fonts', { value: new EventTarget(), configurable: true });
