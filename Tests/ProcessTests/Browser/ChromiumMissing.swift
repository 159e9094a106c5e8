/// There is no browser to test the page in.
struct ChromiumMissing: Error, CustomStringConvertible {
    let description = """
        No Chromium was found. Scripts/install-requirements installs it where there is apt; on macOS, put Chrome or \
        Chromium into /Applications.
        """
}
