/// What the values of settings look like, for the help of commands.
enum SettingForms {
    static let durations = "Durations: 500ms, 30s, 15m, 24h, 7d."
    static let sizes = "Sizes: 512B, 64KiB, 1MiB, 2GiB."
    static let stores = """
        Stores: memory, sqlite:PATH, postgres://[user:password@]host[:port]/database, \
        redis://[user:password@]host[:port][/db], rediss://HOST, \
        redis+sentinel://host:port,host:port/name, redis+cluster://host:port,host:port, redis+unix://PATH.
        """
}
